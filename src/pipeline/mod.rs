//! The story in numbered steps: text to image, image to image; progress, cancel.
