//! From a request to the service that answers it.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Version};

use super::answer::{Answer, AnswerBody};
use super::body::{self, BodyProblem};
use super::connections::Entry;
use super::host::HostProblem;
use super::request_id::request_id;
use crate::state::State;
use crate::wire::Out;
use crate::{kinesis, sqs};

const JSON: &str = "application/json";
const XML: &str = "text/xml";

/// Answers a request.
pub(super) async fn route(
    state: &Arc<State>,
    entry: &Arc<Entry>,
    request: Request<Incoming>,
) -> Response<AnswerBody> {
    let h2 = request.version() == Version::HTTP_2;
    let _under_way = entry.request(h2);
    let id = request_id();
    let (parts, body) = request.into_parts();
    let answer = match state.hosts.check(&parts) {
        Ok(host) if parts.method == Method::POST => post(state, &parts, host, body, &id).await,
        Ok(_) => get(state, &parts),
        Err(problem) => {
            let status = match problem {
                HostProblem::Missing => StatusCode::BAD_REQUEST,
                HostProblem::Origin | HostProblem::Host(_) => StatusCode::FORBIDDEN,
            };
            Answer::text(status, problem.text(state.hosts.port())).closing()
        }
    };
    answer.into_response(&id, h2)
}

fn get(state: &State, request: &Parts) -> Answer {
    if request.method != Method::GET && request.method != Method::HEAD {
        let what = format!("{} is not served: actions are POST requests", request.method);
        return Answer::text(StatusCode::METHOD_NOT_ALLOWED, what).closing();
    }
    match state.pages.page(request.uri.path()) {
        Some(page) => {
            let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::OK);
            Answer::new(status, page.content_type, page.body)
        }
        None => Answer::text(StatusCode::NOT_FOUND, "there is no such page"),
    }
}

async fn post(
    state: &Arc<State>,
    request: &Parts,
    host: &str,
    body: Incoming,
    request_id: &str,
) -> Answer {
    let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
    let (body, held) = match body::read(state, body).await {
        Ok(read) => read,
        Err(problem) => return body_problem(state, &problem),
    };
    let Some(target) = header("x-amz-target") else {
        return untargeted(header(CONTENT_TYPE.as_str()).unwrap_or_default(), request_id);
    };
    let answer = match target.split_once('.') {
        Some(("AmazonSQS", action)) => sqs::answer(state, host, action, &body).await,
        Some(("Kinesis_20131202", action)) => {
            if header(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.contains("cbor")) {
                kinesis::cbor()
            } else {
                kinesis::answer(state, action, &body).await
            }
        }
        _ => {
            let what =
                format!("{target} is not an action of a service that is built: SQS, Kinesis");
            json(StatusCode::BAD_REQUEST, "UnknownOperationException", &what)
        }
    };
    answer.holding(held)
}

fn json(status: StatusCode, kind: &str, message: &str) -> Answer {
    let mut out = Out::with_capacity(256);
    out.raw("{\"__type\":").text(kind).raw(",\"message\":").text(message).raw("}");
    Answer::new(status, JSON, out.into())
}

fn body_problem(state: &State, problem: &BodyProblem) -> Answer {
    let limits = &state.options.http;
    let answer = match problem {
        BodyProblem::TooLarge => {
            let what = format!(
                "the body is longer than {} bytes (request_bytes_max)",
                limits.request_bytes_max
            );
            json(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", &what)
        }
        BodyProblem::TooSlow => {
            let what = format!(
                "the body did not come within {:?} (body_read_timeout)",
                limits.body_read_timeout
            );
            json(StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", &what)
        }
        BodyProblem::NoRoom => {
            let what = "too many bytes of requests are under way (in_flight_bytes_max): try again";
            json(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", what)
        }
        BodyProblem::Broken => {
            json(StatusCode::BAD_REQUEST, "SerializationException", "the body is broken off")
        }
    };
    answer.closing()
}

/// A POST without a target: most likely an SDK from before SQS spoke JSON.
fn untargeted(content_type: &str, request_id: &str) -> Answer {
    if content_type.starts_with("application/x-www-form-urlencoded") {
        let body = format!(
            "<?xml version=\"1.0\"?><ErrorResponse \
             xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><Error><Type>Sender</Type>\
             <Code>AWS.SimpleQueueService.UnsupportedOperation</Code><Message>The Query (XML) \
             protocol is not built: use an SDK that speaks the JSON 1.0 protocol of SQS (any since \
             the end of 2023)</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        );
        return Answer::new(StatusCode::BAD_REQUEST, XML, body.into_bytes());
    }
    let what = "the request has no X-Amz-Target header, so it names no action";
    json(StatusCode::BAD_REQUEST, "MissingAction", what)
}
