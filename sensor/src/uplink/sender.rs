//! From the spool to a replica: one stream, beside that by which the sensor is joined to its fleet and on the same
//! connection. Records come as they lie in the spool and are passed on as they are.

use std::error::Error;
use std::time::Duration;

use bytes::{BufMut as _, Bytes};
use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::client::{Grpc, GrpcService};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Body as HttpBody;
use tonic::{Code, Request, Status, Streaming};
use wanglou_api::sensor::v1::publish_response::Message;
use wanglou_api::sensor::v1::{PublishResponse, RecordId};

use super::keeper::Keeping;
use super::spool::Telling;
use super::window::{Gate, Window};
use crate::image;
use crate::log::ids;
use crate::telemetry::{State, Stream};

const METHOD: &str = "/wanglou.sensor.v1.TelemetryService/Publish";
/// Memory is given back so often at most: what comes again costs a fault for each page of it.
const GIVE_BACK: Duration = Duration::from_secs(1);
/// An answer is small, bytes.
const MAX_ANSWER: usize = 8 << 10;

/// Tells what there is, until the stream is over, which is said.
pub(crate) async fn publish<T>(to: T, origin: Uri, keeping: Keeping, state: State)
where
    T: GrpcService<Body>,
    T::ResponseBody: HttpBody + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let _over = Over { keeping: keeping.clone(), state: state.clone() };
    keeping.begin_stream().await;
    let Err(status) = converse(to, origin, &keeping, &state).await else { return };
    match status.code() {
        Code::Unimplemented => tracing::info!(
            id = ids::UPLINK_UNKNOWN.code,
            "the replica takes no telemetry: it is kept until another one does"
        ),
        _ => tracing::warn!(
            id = ids::UPLINK_DOWN.code,
            "telemetry: the stream is over: {}: what has no answer is told again on the next one",
            status.message()
        ),
    }
}

/// Whichever way it ends.
struct Over {
    keeping: Keeping,
    state: State,
}

impl Drop for Over {
    fn drop(&mut self) {
        self.keeping.end_stream();
        self.state.uplink(|uplink| uplink.stream = Stream::Off);
    }
}

async fn converse<T>(to: T, origin: Uri, keeping: &Keeping, state: &State) -> Result<(), Status>
where
    T: GrpcService<Body>,
    T::ResponseBody: HttpBody + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut client = Grpc::with_origin(to, origin).max_decoding_message_size(MAX_ANSWER);
    let not_ready = |error: T::Error| {
        let error: Box<dyn Error + Send + Sync> = error.into();
        Status::unavailable(error.to_string())
    };
    client.ready().await.map_err(not_ready)?;
    let (say, said) = mpsc::channel(1);
    let request = Request::new(ReceiverStream::new(said));
    let path = PathAndQuery::from_static(METHOD);
    let mut answers = client.streaming(request, path, AsTheyAre).await?.into_inner();
    let mut window = Window::new(keeping.own_rate(), Instant::now());
    let mut given_back = Instant::now();
    let (mut asked, mut next): (Option<oneshot::Receiver<Telling>>, Option<Telling>) = (None, None);
    loop {
        let now = Instant::now();
        let gate = window.gate(next.as_ref().map_or(0, |next| next.bytes.len() as u64), now);
        let stream = match gate {
            _ if window.is_paused(now) => Stream::Paused,
            _ if window.max_content().is_none() => Stream::Waiting,
            _ => Stream::Open,
        };
        state.uplink(|uplink| uplink.stream = stream);
        if next.is_none() && asked.is_none() && gate == Gate::Open {
            asked = Some(keeping.next().await);
        }
        tokio::select! {
            biased;
            answer = hear(&mut answers) => match answer? {
                Some(Message::Limits(limits)) => window.limit(limits, Instant::now()),
                Some(Message::Stored(id)) if window.answer(&id) => {
                    keeping.answer(id, None).await;
                    if window.is_empty() && given_back.elapsed() >= GIVE_BACK {
                        // Until the next batch nobody needs the code of all this.
                        image::give_back();
                        given_back = Instant::now();
                    }
                }
                Some(Message::Refused(refused)) => {
                    if let Some(id) = refused.id && window.answer(&id) {
                        keeping.answer(id, Some(refused.reason)).await;
                    }
                }
                // Nobody has told that, or it is of a later version of the protocol.
                Some(Message::Stored(_)) | None => {}
            },
            room = say.reserve(), if next.is_some() && gate == Gate::Open => {
                let room = room.map_err(|_| Status::unavailable("nobody listens any more"))?;
                let Some(telling) = next.take() else { continue };
                let id = RecordId { run: Some(telling.run), number: telling.number };
                if let Some(most) = window.max_content().filter(|most| telling.content > *most) {
                    let why = format!("{} bytes of content, and {most} are taken", telling.content);
                    keeping.answer(id, Some(why)).await;
                    continue;
                }
                window.tell(id, telling.bytes.len() as u64, Instant::now());
                state.uplink(|uplink| uplink.sent += 1);
                room.send(telling.bytes);
            }
            telling = come(&mut asked), if asked.is_some() => {
                asked = None;
                let gone = || Status::unavailable("nobody keeps the spool any more");
                next = Some(telling.ok_or_else(gone)?);
            }
            () = until(gate) => {}
        }
    }
}

async fn hear(answers: &mut Streaming<PublishResponse>) -> Result<Option<Message>, Status> {
    match answers.message().await? {
        Some(PublishResponse { message }) => Ok(message),
        None => Err(Status::unavailable("the replica has ended it")),
    }
}

/// What was asked for. It is not lost if something else comes first.
async fn come(asked: &mut Option<oneshot::Receiver<Telling>>) -> Option<Telling> {
    asked.as_mut()?.await.ok()
}

async fn until(gate: Gate) {
    match gate {
        Gate::Until(at) => sleep_until(at).await,
        Gate::Open | Gate::Shut => std::future::pending().await,
    }
}

/// Passes messages on as they are.
struct AsTheyAre;

impl Codec for AsTheyAre {
    type Encode = Bytes;
    type Decode = PublishResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsTheyAre {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for AsTheyAre {
    type Item = PublishResponse;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<PublishResponse>, Status> {
        let wrong = |error: prost::DecodeError| Status::internal(error.to_string());
        PublishResponse::decode(from).map(Some).map_err(wrong)
    }
}
