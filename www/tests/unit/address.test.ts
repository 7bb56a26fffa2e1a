import { expect, test } from "vitest";
import { sourceFromAddress } from "../../src/sources/address.ts";

const page = "https://darkroom.example/app/index.html";
const at = (typed: string) => sourceFromAddress(typed, page);

test.each([
  ["stabilityai/sd-turbo", "sd-turbo", "https://huggingface.co/stabilityai/sd-turbo/resolve/main/"],
  [" https://huggingface.co/stabilityai/sd-turbo ", "sd-turbo", "https://huggingface.co/stabilityai/sd-turbo/resolve/main/"],
  ["https://huggingface.co/a/b/tree/fp16", "b", "https://huggingface.co/a/b/resolve/fp16/"],
  ["https://huggingface.co/a/b/resolve/main/sub/folder", "folder", "https://huggingface.co/a/b/resolve/main/sub/folder/"],
  ["https://huggingface.co/a/b/blob/main/model_index.json", "b", "https://huggingface.co/a/b/resolve/main/"],
  ["https://models.example/tiny", "tiny", "https://models.example/tiny/"],
  ["https://models.example/tiny/model_index.json?x=1#y", "tiny", "https://models.example/tiny/"],
  ["http://localhost:8000/", "localhost:8000", "http://localhost:8000/"],
  ["models.example/my%20model/", "my model", "https://models.example/my%20model/"],
  ["./models/emoji", "emoji", "https://darkroom.example/app/models/emoji/"],
  ["/models/emoji/", "emoji", "https://darkroom.example/models/emoji/"],
])("%s", (typed, name, url) => {
  expect(at(typed)).toEqual({ kind: "address", name, url });
});

test.each([
  ["", "invalid-setting"],
  ["ftp://models.example/tiny", "invalid-setting"],
  ["javascript:alert(1)", "invalid-setting"],
  ["data:text/html,x", "invalid-setting"],
  ["https://user:word@models.example/", "invalid-setting"],
  ["http://", "invalid-setting"],
  ["https://models.example/v1-5.ckpt", "pickle"],
  ["https://models.example/v1-5.safetensors", "unsupported"],
])("%s is refused as %s", (typed, code) => {
  expect(() => at(typed)).toThrow(expect.objectContaining({ code }));
});
