//! Kinesis with the Rust SDK: typed exceptions.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, ShardIteratorType};

use crate::kit::{World, options};

fn client(world: &World) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .region(Region::new("us-east-1"))
        .endpoint_url(world.url())
        .retry_config(aws_sdk_kinesis::config::retry::RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

fn run(test: impl AsyncFnOnce(Client)) {
    let mut options = options();
    options.iterator_life = std::time::Duration::ZERO;
    let (world, clock) = World::timed(options);
    clock.advance(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test(client(&world)));
}

#[test]
fn records_go_there_and_back() {
    run(async |kinesis| {
        kinesis.create_stream().stream_name("s").shard_count(1).send().await.unwrap();
        let record = |data: &str| {
            let blob = Blob::new(data.as_bytes());
            PutRecordsRequestEntry::builder().data(blob).partition_key("k").build().unwrap()
        };
        let put = kinesis
            .put_records()
            .stream_name("s")
            .records(record("one"))
            .records(record("two"))
            .send()
            .await
            .unwrap();
        assert_eq!(put.failed_record_count(), Some(0));
        let iterator = kinesis
            .get_shard_iterator()
            .stream_name("s")
            .shard_id("shardId-000000000000")
            .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
            .starting_sequence_number(put.records()[0].sequence_number().unwrap())
            .send()
            .await
            .unwrap();
        let read = kinesis
            .get_records()
            .shard_iterator(iterator.shard_iterator().unwrap())
            .send()
            .await
            .unwrap();
        let [record] = read.records() else { panic!("{read:?}") };
        assert_eq!(record.data().as_ref(), b"two");
        assert_eq!(Some(record.sequence_number()), put.records()[1].sequence_number());
        assert_eq!(record.approximate_arrival_timestamp().unwrap().secs(), 1_800_000_000);
    });
}

#[test]
fn exceptions_have_their_types() {
    run(async |kinesis| {
        let error = kinesis.describe_stream().stream_name("nope").send().await.unwrap_err();
        assert!(error.into_service_error().is_resource_not_found_exception());
        kinesis.create_stream().stream_name("s").shard_count(1).send().await.unwrap();
        let error = kinesis.create_stream().stream_name("s").shard_count(1).send().await;
        assert!(error.unwrap_err().into_service_error().is_resource_in_use_exception());
        let error = kinesis.get_records().shard_iterator("x").send().await.unwrap_err();
        assert!(error.into_service_error().is_invalid_argument_exception());
        let put = || {
            let blob = Blob::new(vec![0; (1 << 20) - 1]);
            kinesis.put_record().stream_name("s").partition_key("k").data(blob).send()
        };
        put().await.unwrap();
        let error = put().await.unwrap_err().into_service_error();
        assert!(error.is_provisioned_throughput_exceeded_exception());
    });
}
