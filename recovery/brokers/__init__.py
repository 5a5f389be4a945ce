"""The events, on to a broker: NATS JetStream, RabbitMQ, Redis streams or Kafka, by FastStream."""

from recovery.brokers.relay import Relay

__all__ = ["Relay"]
