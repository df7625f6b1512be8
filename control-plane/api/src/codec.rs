//! Prost messages, as tonic's own codec has them, with buffers of another size: a stream keeps both of its buffers for as long
//! as it is open, and those of a fleet are open for a day and hardly ever say anything.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{self, BufferSettings};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// Bytes that a buffer has at first, and by which it grows; tonic's own has 8 KiB.
const ROOM: usize = 512;
/// Bytes that are gathered before they are written.
const GATHERED: usize = 32 << 10;

/// Encodes and decodes.
#[derive(Clone, Debug)]
pub(crate) struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> codec::Codec for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(ROOM, GATHERED))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::new(ROOM, GATHERED))
    }
}
