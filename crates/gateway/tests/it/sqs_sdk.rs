//! SQS with the Rust SDK: typed exceptions.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry};

use crate::kit::World;

fn client(world: &World) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .region(Region::new("us-east-1"))
        .endpoint_url(world.url())
        .build();
    Client::from_conf(config)
}

fn run(test: impl AsyncFnOnce(Client)) {
    let world = World::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test(client(&world)));
}

#[test]
fn messages_go_there_and_back() {
    run(async |sqs| {
        let url = sqs.create_queue().queue_name("q").send().await.unwrap().queue_url.unwrap();
        let attribute =
            MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
        let sent = sqs
            .send_message()
            .queue_url(&url)
            .message_body("hello \"you\"")
            .message_attributes("name", attribute.clone())
            .send()
            .await
            .unwrap();
        let got = sqs
            .receive_message()
            .queue_url(&url)
            .message_attribute_names("na.*")
            .message_attribute_names("name")
            .wait_time_seconds(5)
            .send()
            .await
            .unwrap();
        let message = &got.messages()[0];
        assert_eq!(message.body(), Some("hello \"you\""));
        assert_eq!(message.message_id(), sent.message_id());
        assert_eq!(message.md5_of_message_attributes(), sent.md5_of_message_attributes());
        assert_eq!(message.message_attributes().unwrap()["name"], attribute);
        let handle = message.receipt_handle().unwrap();
        sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
        let depth = sqs
            .get_queue_attributes()
            .queue_url(&url)
            .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
            .send()
            .await
            .unwrap();
        let depth = &depth.attributes().unwrap()[&QueueAttributeName::ApproximateNumberOfMessages];
        assert_eq!(depth, "0");
        assert!(sqs.receive_message().queue_url(&url).send().await.unwrap().messages().is_empty());
    });
}

#[test]
fn exceptions_have_their_types() {
    run(async |sqs| {
        let error = sqs.get_queue_url().queue_name("nope").send().await.unwrap_err();
        assert!(error.into_service_error().is_queue_does_not_exist());
        let url = sqs.create_queue().queue_name("q").send().await.unwrap().queue_url.unwrap();
        let other = QueueAttributeName::DelaySeconds;
        let error =
            sqs.create_queue().queue_name("q").attributes(other, "1").send().await.unwrap_err();
        assert!(error.into_service_error().is_queue_name_exists());
        let error =
            sqs.delete_message().queue_url(&url).receipt_handle("x").send().await.unwrap_err();
        assert!(error.into_service_error().is_receipt_handle_is_invalid());
        let error = sqs.send_message().queue_url(&url).message_body("\u{1}").send().await;
        assert!(error.unwrap_err().into_service_error().is_invalid_message_contents());
        let error = sqs.send_message_batch().queue_url(&url).send().await.unwrap_err();
        assert!(error.into_service_error().is_empty_batch_request());
        sqs.purge_queue().queue_url(&url).send().await.unwrap();
        let error = sqs.purge_queue().queue_url(&url).send().await.unwrap_err();
        assert!(error.into_service_error().is_purge_queue_in_progress());
    });
}

#[test]
fn a_batch_answers_for_each_entry() {
    run(async |sqs| {
        let url = sqs.create_queue().queue_name("q").send().await.unwrap().queue_url.unwrap();
        let entry = |id: &str, body: &str| {
            SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
        };
        let answer = sqs
            .send_message_batch()
            .queue_url(&url)
            .entries(entry("good", "m"))
            .entries(entry("bad", "\u{2}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.successful()[0].id(), "good");
        assert_eq!((answer.failed()[0].id(), answer.failed()[0].sender_fault()), ("bad", true));
    });
}
