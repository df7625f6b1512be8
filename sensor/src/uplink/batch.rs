//! Packs events into batches: one Zstandard frame each, compressed as they come, so that nothing of them is kept that is
//! not packed.
//!
//! A frame is to state how long its content is (RFC 8878, 3.1.1.1.4), which is not known before its end, and what the
//! encoder writes first does not say it. That first part is six bytes: the magic number, a descriptor and the window. Ten
//! bytes with the same and the length take their place once it is known; what follows does not depend on them.

use std::io;

use wanglou_api::sensor::v1::{ActionCounts, Batch, BatchLedger, RunId};
use zstd::stream::raw::{CParameter, Encoder, InBuffer, Operation as _, OutBuffer};

use crate::books::{self, Account};
use crate::ledger::{ByAction, Cause, named};

/// The fastest that is worth while.
const LEVEL: i32 = 1;
/// Window and table, as powers of two: with them the encoder takes half a megabyte, and packs nearly as well.
const WINDOW_LOG: u32 = 16;
const HASH_LOG: u32 = 14;

/// What the encoder writes first, and what takes its place.
const SHORT: usize = 6;
const LONG: usize = 10;
/// Of the descriptor: the length of the content has four bytes.
const FOUR_BYTES: u8 = 2 << 6;
/// Of the descriptor: how many bytes the length has, and whether there is no window. The encoder sets none of them.
const UNSAID: u8 = 0b1110_0000;

/// Room that a frame gets at once.
const STEP: usize = 16 << 10;

/// A frame in the making.
pub(super) struct Packer {
    encoder: Option<Encoder<'static>>,
    frame: Vec<u8>,
    content: usize,
    counts: ByAction,
}

impl Packer {
    pub(super) fn new() -> Self {
        let counts = ByAction::default();
        Self { encoder: None, frame: Vec::new(), content: 0, counts }
    }

    /// Bytes of content so far.
    pub(super) fn content(&self) -> usize {
        self.content
    }

    /// Adds messages, and how many there are that the ledger counts.
    pub(super) fn add(&mut self, messages: &[u8], counts: &ByAction) -> io::Result<()> {
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(encoder()?),
        };
        if self.content == 0 {
            encoder.reinit()?;
            self.frame.clear();
            // Of the ten bytes before the blocks, the last six are written over by the encoder for now.
            self.frame.resize(LONG - SHORT, 0);
        }
        let mut messages = InBuffer::around(messages);
        while messages.pos() < messages.src.len() {
            write(&mut self.frame, |out| encoder.run(&mut messages, out))?;
        }
        self.content += messages.src.len();
        for (sum, more) in self.counts.iter_mut().zip(counts) {
            *sum += more;
        }
        Ok(())
    }

    /// Ends the frame: it, the length of its content, and what is in it. An encoder that is not needed again at once
    /// is not kept.
    pub(super) fn finish(&mut self, keep: bool) -> io::Result<(Vec<u8>, u32, ByAction)> {
        let none = || io::Error::other("there is nothing to be packed");
        let mut encoder = self.encoder.take().ok_or_else(none)?;
        while write(&mut self.frame, |out| encoder.finish(out, true))? > 0 {}
        if keep {
            self.encoder = Some(encoder);
        }
        let content = u32::try_from(std::mem::take(&mut self.content)).map_err(io::Error::other)?;
        let mut frame = std::mem::take(&mut self.frame);
        state_length(&mut frame, content)?;
        Ok((frame, content, std::mem::take(&mut self.counts)))
    }
}

fn encoder() -> io::Result<Encoder<'static>> {
    let mut encoder = Encoder::new(LEVEL)?;
    encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
    encoder.set_parameter(CParameter::HashLog(HASH_LOG))?;
    Ok(encoder)
}

/// Has the encoder write behind what there is.
fn write(
    frame: &mut Vec<u8>,
    encode: impl FnOnce(&mut OutBuffer<'_, Vec<u8>>) -> io::Result<usize>,
) -> io::Result<usize> {
    let at = frame.len();
    if frame.capacity() - at < STEP / 2 {
        frame.reserve_exact(STEP);
    }
    encode(&mut OutBuffer::around_pos(frame, at))
}

/// Writes the first ten bytes, of which the last six are as the encoder has begun.
fn state_length(frame: &mut [u8], content: u32) -> io::Result<()> {
    let begun: Option<[u8; SHORT]> =
        frame.get(LONG - SHORT..LONG).and_then(|it| it.try_into().ok());
    match begun {
        Some([m, a, g, i, descriptor, window]) if descriptor & UNSAID == 0 => {
            frame[..SHORT].copy_from_slice(&[m, a, g, i, descriptor | FOUR_BYTES, window]);
            frame[SHORT..LONG].copy_from_slice(&content.to_le_bytes());
            Ok(())
        }
        _ => Err(io::Error::other("the encoder has begun its frame in another way")),
    }
}

/// The books at this moment, `told` being what is in batches so far, with the one that this goes with.
pub(super) fn ledger(account: &Account, told: &ByAction) -> BatchLedger {
    let causes = Cause::ALL.into_iter().filter(|cause| !cause.is_of_batches());
    // In this order: whatever is counted as dropped has been produced.
    let dropped: Vec<_> =
        causes.map(|cause| (cause.name(), books::read(&account.dropped[cause as usize]))).collect();
    let mut produced = books::read(&account.produced);
    let mut in_flight = ByAction::default();
    for (n, produced) in produced.iter_mut().enumerate() {
        let settled = told[n] + dropped.iter().map(|(_, dropped)| dropped[n]).sum::<u64>();
        // A processor may show us one of two writes without the one before.
        *produced = settled.max(*produced);
        in_flight[n] = *produced - settled;
    }
    let counts = |dropped| ActionCounts { counts: named(dropped) };
    let dropped = dropped.iter().map(|(cause, dropped)| ((*cause).to_owned(), counts(dropped)));
    BatchLedger {
        produced: named(&produced),
        dropped: dropped.filter(|(_, dropped)| !dropped.counts.is_empty()).collect(),
        in_flight: named(&in_flight),
    }
}

/// A batch, but for its events.
pub(super) fn batch(
    run: &RunId,
    number: u64,
    (content_bytes, counts): (u32, &ByAction),
    ledger: BatchLedger,
) -> Batch {
    let (run, counts, ledger) = (Some(run.clone()), named(counts), Some(ledger));
    Batch { run, number, events: Vec::new(), content_bytes, counts, ledger }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Action;
    use crate::books::Books;
    use crate::output::Destination;

    #[test]
    fn a_frame_states_how_long_its_content_is() {
        let mut packer = Packer::new();
        for (pieces, keep) in [(1, true), (300, true), (3, false), (40, true)] {
            let mut content = Vec::new();
            let counts = Action::ALL.map(|action| u64::from(action == Action::Exec));
            for n in 0..pieces {
                let piece = format!("{n}: exec of {}", u64::pow(n, 3)).repeat(40);
                packer.add(piece.as_bytes(), &counts).expect("memory");
                content.extend_from_slice(piece.as_bytes());
            }
            let (frame, length, counts) = packer.finish(keep).expect("a frame");
            assert_eq!(length as usize, content.len());
            assert_eq!(counts[Action::Exec as usize], pieces);
            // That of the library goes by what the frame says, and so must fit exactly.
            let stated = zstd::zstd_safe::get_frame_content_size(&frame).expect("a frame");
            assert_eq!(stated, Some(content.len() as u64));
            let unpacked = zstd::bulk::decompress(&frame, content.len()).expect("a frame");
            assert!(unpacked == content, "{pieces} pieces");
        }
    }

    #[test]
    fn the_encoder_is_small() {
        let mut context = zstd::zstd_safe::CCtx::create();
        for parameter in [
            CParameter::CompressionLevel(LEVEL),
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::HashLog(HASH_LOG),
        ] {
            context.set_parameter(parameter).expect("a parameter");
        }
        let mut encoder = Encoder::with_context(&mut context);
        write(&mut Vec::new(), |out| encoder.run(&mut InBuffer::around(b"x"), out))
            .expect("memory");
        drop(encoder);
        assert!(context.sizeof() < 700 << 10, "{} bytes", context.sizeof());
    }

    #[test]
    fn whatever_is_produced_is_in_the_books_once() {
        let books = Books::new().expect("memory");
        let account = books.account(Destination::Uplink);
        let fork = Action::Fork as usize;
        account.produced[fork].add(10);
        account.dropped[Cause::RingFull as usize][fork].add(2);
        account.dropped[Cause::SpoolFull as usize][fork].add(3);
        let mut told = ByAction::default();
        told[fork] = 5;
        let ledger = ledger(account, &told);
        assert_eq!((ledger.produced["fork"], ledger.in_flight["fork"]), (10, 3));
        assert_eq!(ledger.dropped.keys().collect::<Vec<_>>(), ["ring_full"]);
        told[fork] = 9;
        assert_eq!(
            super::ledger(account, &told).produced["fork"],
            11,
            "it is told: it was produced"
        );
    }
}
