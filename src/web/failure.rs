//! Errors on their way to the page: `{code, message}`.

use js_sys::{Object, Reflect};
use wasm_bindgen::JsValue;

use crate::error::{Error, ErrorKind, Result};

/// An engine error as the page reads it.
pub fn to_js(error: &Error) -> JsValue {
    object(&[("code", error.code().into()), ("message", error.message.as_str().into())])
}

/// A failure of the page's own file handles, as the engine's error; `{code, message}` keeps its code.
pub fn from_js(value: &JsValue, place: &str) -> Error {
    let text = |key: &str| Reflect::get(value, &key.into()).ok().and_then(|value| value.as_string());
    let message = text("message").or_else(|| value.as_string()).unwrap_or_else(|| "it could not be read".into());
    let kind = text("code").and_then(|code| ErrorKind::from_code(&code)).unwrap_or(ErrorKind::Network);
    let error = Error::new(kind, message);
    // The page's own sentences name the file already.
    if error.message.contains(place) { error } else { error.within(place) }
}

/// A plain object.
pub fn object(entries: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new();
    for (key, value) in entries {
        // Setting a property of a fresh plain object cannot fail.
        let _ = Reflect::set(&object, &(*key).into(), value);
    }
    object.into()
}

/// The page's promise: resolves with the value, rejects with `{code, message}`.
pub fn settle(result: Result<JsValue>) -> std::result::Result<JsValue, JsValue> {
    result.map_err(|error| to_js(&error))
}
