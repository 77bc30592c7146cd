using System.IO.Pipelines;
using Mqtt5.Serving;

namespace Mqtt5.BrokerTests;

// The sending end of a transport that is gone, while others still deliver to the session that it belonged to.
public sealed class EndedTransportTests
{
    [Fact]
    public async Task What_is_flushed_after_the_connection_has_ended_goes_nowhere()
    {
        await using var broker = await Brokers.StartAsync();
        var transport = new Transport(broker);
        await transport.SubscribeAsync();
        // The client does not read it, so it is in flight until the transport ends.
        broker.Publish(new MqttMessage { Topic = "a", Text = "1" });
        var session = broker.Engine.Registry.Sessions.Single();
        var turn = broker.Engine.Rent();
        Node.Disconnect(turn, session, ReasonCode.ServerShuttingDown);
        await transport.Output.Reader.CompleteAsync();
        await transport.Serving.Bounded();
        await transport.Output.Writer.CompleteAsync();
        broker.Engine.Return(turn);
        Assert.Equal(0, broker.ConnectionCount);
    }

    [Fact]
    public async Task A_transport_that_failed_ends_its_own_connection_and_not_the_publisher()
    {
        await using var broker = await Brokers.StartAsync();
        var transport = new Transport(broker);
        await transport.SubscribeAsync();
        await using var other = await RawClient.ConnectAsync(broker, "CONNECT clean=1 clientid=\"other\"");
        await other.SubscribeAsync("\"a\"");
        await transport.Output.Reader.CompleteAsync(new IOException("the web socket failed"));
        broker.Publish(new MqttMessage { Topic = "a", Text = "1" });
        await other.ExpectStartAsync("PUBLISH topic=\"a\"");
        await transport.Serving.Bounded();
        Assert.Equal(1, broker.ConnectionCount);
    }

    private sealed class Transport : Origin
    {
        private readonly Pipe input = new();

        public Transport(MqttBroker broker) => Serving = broker.Engine.ServeAsync(input.Reader, Output.Writer, this);

        // One byte that is not read is enough to keep a flush waiting.
        public Pipe Output { get; } = new(new PipeOptions(pauseWriterThreshold: 1, resumeWriterThreshold: 1));

        // Completes once nothing of the connection runs any more.
        public Task Serving { get; }

        public override bool IsInProcess => true;

        public override void Abort() => input.Writer.Complete();

        public async Task SubscribeAsync()
        {
            await input.Writer.WriteAsync(HealthyPair.Bytes("CONNECT clean=1 clientid=\"c\""));
            await ReadAsync();
            await input.Writer.WriteAsync(HealthyPair.Bytes("SUBSCRIBE id=1 filters[\"a\"]"));
            await ReadAsync();
        }

        private async Task ReadAsync()
        {
            var result = await Output.Reader.ReadAsync().Bounded();
            Output.Reader.AdvanceTo(result.Buffer.End);
        }
    }
}
