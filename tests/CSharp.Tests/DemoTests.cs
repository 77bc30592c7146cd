using System.Diagnostics;
using Mqtt5.Cli;

namespace Mqtt5.CSharp.Tests;

public sealed class DemoTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task The_demo_ends_by_itself_and_proves_every_step()
    {
        var began = Stopwatch.GetTimestamp();
        var run = await CommandRun.AsProcessAsync([], "demo");
        Assert.True(Stopwatch.GetElapsedTime(began) < Limit, "the demo takes less than 20 seconds");
        Assert.Equal("", run.Error);
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(8, run.Lines.Count(line => line.StartsWith(" ✓ ", StringComparison.Ordinal)));
        Assert.DoesNotContain("✗", run.Output, StringComparison.Ordinal);
        Assert.Contains("4 messages of QoS 2, 4 cut sockets, 4 deliveries", run.Output, StringComparison.Ordinal);

        foreach (var (lost, again) in new[] { ("PUBLISH", "PUBLISH id="), ("PUBREC", "PUBLISH id="), ("PUBREL", "PUBREL id="), ("PUBCOMP", "PUBREL id=") })
        {
            var line = Assert.Single(run.Lines, line => line.Contains($"lost {lost} ", StringComparison.Ordinal));
            Assert.Contains($"resumed, then {again}", line, StringComparison.Ordinal);
            Assert.EndsWith("arrived once", line, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Without_a_terminal_there_are_plain_lines_of_80_columns()
    {
        var run = await CommandRun.InProcessAsync(null, "demo");
        Assert.DoesNotContain("\u001b", run.Output, StringComparison.Ordinal);
        Assert.All(run.Lines, line => Assert.Equal(line.TrimEnd(), line));
        Assert.All(
            run.Lines.Where(line => !line.Contains("alias mqtt5=", StringComparison.Ordinal)),
            line => Assert.True(line.Length <= 80, $"longer than 80 columns: {line}"));
    }

    [Theory]
    [InlineData(PacketType.Publish)]
    [InlineData(PacketType.Pubrec)]
    [InlineData(PacketType.Pubrel)]
    [InlineData(PacketType.Pubcomp)]
    public async Task The_transport_of_the_demo_cuts_at_the_packet_that_it_was_told(PacketType lost)
    {
        var stopping = TestContext.Current.CancellationToken;
        await using var broker = await MqttBroker.StartAsync(options => options.Listen(0), stopping);
        var transport = new CuttingTransport();
        var options = MqttClientOptions.For(broker.Addresses[0]);
        options.Transport = transport;
        // Nothing heals the connection, so the message does not get through.
        options.Reconnect = null;
        await using var client = await MqttClient.ConnectAsync(options, stopping);
        transport.Lose(lost);
        await Assert.ThrowsAsync<MqttDisconnectedException>(() => client.PublishAsync("a", "x", QoS.ExactlyOnce, cancellationToken: stopping).AsTask());
        Assert.Equal(1, transport.Cuts);
        PacketType[] handshake = [PacketType.Publish, PacketType.Pubrec, PacketType.Pubrel, PacketType.Pubcomp];
        Assert.Equal(
            handshake.TakeWhile(packet => packet != lost).Select(packet => packet.ToString().ToUpperInvariant()),
            transport.Passed.Select(packet => Notation.Print(packet).Split(' ')[0]));
    }

    [Fact]
    public void Packets_are_found_wherever_the_bytes_are_split()
    {
        var bytes = Convert.FromHexString("30080003612F62006869C00040020001");
        var splitter = new PacketSplitter(Direction.ClientToServer);
        var packets = bytes.SelectMany(one => splitter.Take([one])).Select(packet => Convert.ToHexString(packet.Span)).ToArray();
        Assert.Equal(["30080003612F62006869", "C000", "40020001"], packets);
        Assert.Equal(3, new PacketSplitter(Direction.ClientToServer).Take(bytes).Count);
        Assert.Throws<IOException>(() => new PacketSplitter(Direction.ClientToServer).Take([0x36, 0x00]));
    }

    [Fact]
    public async Task The_demo_takes_no_arguments()
    {
        var run = await CommandRun.InProcessAsync(null, "demo", "now");
        Assert.Equal(2, run.ExitCode);
        Assert.Equal("", run.Output);
    }
}
