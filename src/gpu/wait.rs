//! Waiting for the device: callbacks as futures. In a browser they resolve from the event loop, natively by polling.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::error::{Error, ErrorKind, Result};

struct State<T> {
    value: Option<T>,
    waker: Option<Waker>,
}

/// A value that a callback will bring.
pub(super) struct Signal<T>(Arc<Mutex<State<T>>>);

impl<T> Signal<T> {
    fn new() -> (Self, impl FnOnce(T)) {
        let state = Arc::new(Mutex::new(State { value: None, waker: None }));
        let other = state.clone();
        let send = move |value| {
            let mut state = other.lock().unwrap_or_else(PoisonError::into_inner);
            state.value = Some(value);
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        };
        (Self(state), send)
    }
}

impl<T> Future for Signal<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.value.take() {
            Some(value) => Poll::Ready(value),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Resolves when everything submitted so far is done.
pub(super) fn submitted(queue: &wgpu::Queue) -> Signal<()> {
    let (signal, send) = Signal::new();
    queue.on_submitted_work_done(move || send(()));
    signal
}

/// Waits for a signal of [`submitted`].
pub(super) async fn finished(device: &wgpu::Device, signal: Signal<()>) {
    drive(device, signal).await;
}

/// Waits until the whole of `buffer` is mapped for reading.
pub(super) async fn mapped(device: &wgpu::Device, buffer: &wgpu::Buffer) -> Result<()> {
    let (signal, send) = Signal::new();
    buffer.map_async(wgpu::MapMode::Read, .., send);
    drive(device, signal)
        .await
        .map_err(|error| Error::new(ErrorKind::DeviceLost, format!("The GPU did not hand back a result: {error}")))
}

#[cfg(target_arch = "wasm32")]
async fn drive<T>(_device: &wgpu::Device, signal: Signal<T>) -> T {
    signal.await
}

/// Natively a callback runs only while someone polls; short sleeps leave the processor to software adapters.
#[cfg(not(target_arch = "wasm32"))]
async fn drive<T>(device: &wgpu::Device, signal: Signal<T>) -> T {
    loop {
        // An error here is a lost device; its callback resolves the signal.
        let _ = device.poll(wgpu::PollType::Poll);
        if let Some(value) = signal.0.lock().unwrap_or_else(PoisonError::into_inner).value.take() {
            return value;
        }
        std::thread::sleep(std::time::Duration::from_micros(100));
    }
}
