use super::DecodeStep::*;
use super::*;
use proptest::prelude::*;
use std::io::Write as _;

const MAX: usize = 1 << 20;

fn decode(steps: &[DecodeStep], payload: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut out = b"before".to_vec();
    let result = Decoder::new(steps, MAX).decode(payload, &mut out);
    assert_eq!(&out[..6], b"before");
    if result.is_err() {
        assert_eq!(out, b"before", "what failed leaves nothing behind");
    }
    result.map(|_| out.split_off(6))
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(content, 1).unwrap()
}

fn base64(content: &[u8]) -> Vec<u8> {
    base64_simd::STANDARD.encode_to_string(content).into_bytes()
}

fn fault(steps: &[DecodeStep], payload: &[u8]) -> &'static str {
    decode(steps, payload).unwrap_err().name()
}

#[test]
fn the_iot_sample_is_percent_decoded() {
    let sent = b"%7B%22id%22%3A%221%22%2C%22eventType%22%3A%22IOT_EVENT%22%2C%22eventId%22%3A%22Event1%22%2C%22createdAt%22%3A11999111%2C%22body%22%3A%22Testevent%22%7D";
    let json = br#"{"id":"1","eventType":"IOT_EVENT","eventId":"Event1","createdAt":11999111,"body":"Testevent"}"#;
    assert_eq!(decode(&[Url, Json], sent).unwrap(), json);
}

#[test]
fn a_plus_stays_a_plus() {
    assert_eq!(decode(&[Url], b"12:00+02:00%2b%20x").unwrap(), b"12:00+02:00+ x");
}

#[test]
fn a_percent_sign_without_digits_is_broken() {
    for payload in [&b"100%"[..], b"%a", b"50% off", b"%0g", b"%\x80\x80"] {
        assert_eq!(fault(&[Url], payload), "url_broken");
    }
    let error = decode(&[Url], b"%41%41x%zz").unwrap_err();
    assert_eq!(error.what, DecodeFault::UrlBroken { at: 7 });
    assert_eq!(
        error.to_string(),
        "decode step 1 (`url`): a `%` at byte 7 isn't followed by two hexadecimal digits"
    );
}

#[test]
fn base64_comes_in_several_dresses() {
    for text in ["+/9h", "-_9h", " +/9h\r\n"] {
        assert_eq!(decode(&[Base64], text.as_bytes()).unwrap(), [0xfb, 0xff, 0x61], "{text}");
    }
    for text in ["YQ==", "YQ", "\nYQ==\n"] {
        assert_eq!(decode(&[Base64], text.as_bytes()).unwrap(), b"a", "{text}");
    }
    assert_eq!(decode(&[Base64], b"").unwrap(), b"");
}

#[test]
fn what_is_no_base64_is_broken() {
    for text in ["Y", "YQ=", "YQ===", "YWI==", "Y Q=", "YQ==YQ==", "{}", "+_9h", "Y\0==", "===="] {
        assert_eq!(fault(&[Base64], text.as_bytes()), "base64_broken", "{text:?}");
    }
}

#[test]
fn gzip_members_are_joined() {
    let mut sent = gzip(b"{\"a\":");
    sent.extend(gzip(b""));
    sent.extend(gzip(b"1}"));
    assert_eq!(decode(&[Gzip], &sent).unwrap(), b"{\"a\":1}");
}

#[test]
fn gzip_headers_may_hold_everything() {
    let mut encoder = flate2::GzBuilder::new()
        .extra(b"xtra".to_vec())
        .filename("a name")
        .comment("a comment")
        .write(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"{}").unwrap();
    let sent = encoder.finish().unwrap();
    assert_eq!(decode(&[Gzip], &sent).unwrap(), b"{}");
    for len in 0..sent.len() {
        assert_eq!(fault(&[Gzip], &sent[..len]), "gzip_truncated", "cut at {len}");
    }
}

#[test]
fn a_damaged_gzip_is_broken() {
    let whole = gzip(br#"{"event_uuid":"0190a6c1","event_name":"game:resumed"}"#);
    assert_eq!(fault(&[Gzip], b"{}"), "gzip_broken");
    for at in [0, 1, 2, 3, whole.len() - 8, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        assert_eq!(fault(&[Gzip], &damaged), "gzip_broken", "flipped at {at}");
    }
    let mut followed = whole;
    followed.push(b'\n');
    assert_eq!(fault(&[Gzip], &followed), "gzip_broken");
}

#[test]
fn zstd_frames_are_joined_and_checked() {
    let whole = zstd(br#"{"a":1}"#);
    assert_eq!(decode(&[Zstd], &whole).unwrap(), br#"{"a":1}"#);
    let twice = [whole.clone(), whole.clone()].concat();
    assert_eq!(decode(&[Zstd], &twice).unwrap(), br#"{"a":1}{"a":1}"#);
    for len in 1..whole.len() {
        assert_eq!(fault(&[Zstd], &whole[..len]), "zstd_truncated", "cut at {len}");
        assert_eq!(fault(&[Zstd], &twice[..whole.len() + len]), "zstd_truncated");
    }
    assert_eq!(fault(&[Zstd], b"{\"a\":1}"), "zstd_broken");
    assert_eq!(fault(&[Zstd], &[whole, b"garbage".to_vec()].concat()), "zstd_broken");
}

#[test]
fn a_zstd_frame_with_a_huge_window_is_refused() {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(b"{}").unwrap();
    assert_eq!(fault(&[Zstd], &encoder.finish().unwrap()), "zstd_broken");
}

#[test]
fn nothing_grows_past_decoded_bytes_max() {
    let zeros = vec![b' '; 100 << 20];
    for (step, bomb) in [(Gzip, gzip(&zeros)), (Zstd, zstd(&zeros))] {
        for steps in [vec![step], vec![step, Base64]] {
            let mut decoder = Decoder::new(&steps, MAX);
            let mut out = Vec::new();
            let error = decoder.decode(&bomb, &mut out).unwrap_err();
            assert_eq!(error.name(), "decoded_too_large");
            assert_eq!((error.step, error.position), (step, 1));
            assert!(out.is_empty());
            let held = out.capacity() + decoder.scratch.iter().map(Vec::capacity).sum::<usize>();
            assert!(held <= 3 * MAX, "{held} bytes held after a bomb");
        }
    }
    let exact = vec![b' '; MAX];
    for (step, sent) in [(Gzip, gzip(&exact)), (Zstd, zstd(&exact)), (Url, exact.clone())] {
        assert_eq!(decode(&[step], &sent).unwrap().len(), MAX);
    }
    assert_eq!(fault(&[Url], &vec![b' '; MAX + 1]), "decoded_too_large");
}

#[test]
fn steps_follow_each_other_and_errors_name_theirs() {
    let json = br#"{"a":1}"#;
    let sent = base64(&gzip(&zstd(json)));
    assert_eq!(decode(&[Base64, Gzip, Zstd, Json], &sent).unwrap(), json);
    let error = decode(&[Base64, Gzip, Zstd, Json], &base64(&gzip(b"{}"))).unwrap_err();
    assert_eq!((error.step, error.position, error.name()), (Zstd, 3, "zstd_broken"));
}

#[test]
fn without_steps_nothing_is_copied() {
    let mut out = Vec::new();
    for steps in [&[][..], &[Json]] {
        let mut decoder = Decoder::new(steps, 1);
        assert!(decoder.is_noop());
        assert_eq!(decoder.decode(b"{\"a\":1}", &mut out), Ok(Decoded::Same));
        assert!(out.is_empty());
    }
}

proptest! {
    #[test]
    fn one_decoder_decodes_one_payload_after_the_other(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 1..6),
        cut in 0_usize..100,
    ) {
        let mut decoder = Decoder::new(&[Base64, Gzip, Zstd, Url], MAX);
        for payload in payloads {
            let escaped: Vec<u8> =
                payload.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect();
            let sent = base64(&gzip(&zstd(&escaped)));
            let mut out = Vec::new();
            // What went wrong before doesn't reach into what comes after.
            let _ = decoder.decode(&sent[..sent.len().saturating_sub(cut)], &mut out);
            out.clear();
            prop_assert_eq!(decoder.decode(&sent, &mut out), Ok(Decoded::Appended));
            prop_assert_eq!(&out, &payload);
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        for step in [Url, Base64, Gzip, Zstd] {
            let _ = decode(&[step], &payload);
        }
        let mut damaged = gzip(&payload);
        let at = payload.len() % damaged.len();
        damaged[at] ^= 0x10;
        let _ = decode(&[Gzip], &damaged);
        let mut damaged = zstd(&payload);
        let at = payload.len() % damaged.len();
        damaged[at] ^= 0x10;
        let _ = decode(&[Zstd], &damaged);
    }
}
