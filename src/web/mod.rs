//! What the page calls; the only folder that names `JsValue`.
