//! The page's folders and files as sources.

use std::ops::Range;
use std::rc::Rc;

use js_sys::{Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::error::{Error, ErrorKind, Result};
use crate::source::{ByteSource, Folder, LocalFuture};
use crate::web::failure;

/// A `FolderHandle` of the page.
pub struct PageFolder {
    handle: JsValue,
    name: String,
}

impl PageFolder {
    pub fn new(handle: JsValue) -> Self {
        let name = text(&handle, "name").unwrap_or_else(|| "model".into());
        Self { handle, name }
    }

    async fn file(&self, path: &str) -> Result<Option<Rc<dyn ByteSource>>> {
        let file = call(&self.handle, "open", &[path.into()], path).await?;
        if file.is_null() || file.is_undefined() {
            return Ok(None);
        }
        let length = Reflect::get(&file, &"size".into()).ok().and_then(|size| size.as_f64());
        let length = length
            .filter(|size| (0.0..9e15).contains(size))
            .ok_or_else(|| Error::new(ErrorKind::Internal, format!("{path}: the page gave a file without a size")))?;
        let name = text(&file, "name").unwrap_or_else(|| path.to_owned());
        Ok(Some(Rc::new(PageFile { handle: file, name, length: length as u64 })))
    }
}

impl Folder for PageFolder {
    fn name(&self) -> &str {
        &self.name
    }

    /// The page does not say whether its files come over a network; they may.
    fn is_near(&self) -> bool {
        false
    }

    fn open<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<Option<Rc<dyn ByteSource>>>> {
        Box::pin(self.file(path))
    }
}

struct PageFile {
    handle: JsValue,
    name: String,
    length: u64,
}

impl PageFile {
    async fn bytes(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let arguments = [JsValue::from_f64(range.start as f64), JsValue::from_f64(range.end as f64)];
        let data = call(&self.handle, "read", &arguments, &self.name).await?;
        let data: Uint8Array = data
            .dyn_into()
            .map_err(|_| Error::new(ErrorKind::Internal, format!("{}: the page gave no bytes", self.name)))?;
        if u64::from(data.length()) != range.end.saturating_sub(range.start) {
            return Err(Error::new(
                ErrorKind::Truncated,
                format!("{} ends before byte {}; load it again", self.name, range.end),
            ));
        }
        Ok(data.to_vec())
    }
}

impl ByteSource for PageFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn read(&self, range: Range<u64>) -> LocalFuture<'_, Result<Vec<u8>>> {
        Box::pin(self.bytes(range))
    }
}

fn text(object: &JsValue, key: &str) -> Option<String> {
    Reflect::get(object, &key.into()).ok().and_then(|value| value.as_string())
}

/// Calls a method that returns a promise.
async fn call(object: &JsValue, method: &str, arguments: &[JsValue], place: &str) -> Result<JsValue> {
    let function: Function = Reflect::get(object, &method.into())
        .ok()
        .and_then(|value| value.dyn_into().ok())
        .ok_or_else(|| Error::new(ErrorKind::Internal, format!("the page's handle has no method {method}")))?;
    let promise =
        function.apply(object, &arguments.iter().collect()).map_err(|error| failure::from_js(&error, place))?;
    JsFuture::from(Promise::resolve(&promise)).await.map_err(|error| failure::from_js(&error, place))
}
