namespace Mqtt5.Client.Tests;

public sealed class ScriptedPeerTests
{
    [Fact]
    public async Task A_trace_is_played_in_both_directions()
    {
        await using var world = new World(options => options.SessionExpiry = null);
        var opening = world.Client.OpenAsync();
        await using var peer = await ScriptedPeer.AcceptAsync(world.Transport).Bounded();
        var playing = peer.PlayAsync(
            """
            [c>s] CONNECT clean=1 keepalive=60 clientid="client" props{ReceiveMaximum=1024, MaximumPacketSize=16777216}
            [s>c] CONNACK
            [c>s] PUBLISH topic="a" qos=1 id=1 payload="x"
            [s>c] PUBACK id=1
            """);
        await opening.Bounded();
        await world.Client.PublishAsync("a", "x", QoS.AtLeastOnce).Bounded();
        await playing.Bounded();
    }

    [Fact]
    public async Task What_does_not_follow_the_script_is_told_without_secrets()
    {
        await using var world = new World(options => options.Credentials = MqttCredentials.Of("user", "hidden"));
        var opening = world.Client.OpenAsync();
        await using var peer = await ScriptedPeer.AcceptAsync(world.Transport).Bounded();
        var wrong = await Assert.ThrowsAsync<ScriptException>(() => peer.PlayAsync("[c>s] PINGREQ").Bounded());
        Assert.Contains("CONNECT", wrong.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden", wrong.Message, StringComparison.Ordinal);
        await peer.SendAsync("CONNACK");
        await opening.Bounded();
        world.Client.TryPublish("a", "x");
        await peer.ExpectAsync("PUBLISH topic=\"a\" payload=\"x\"").Bounded();
        world.Client.TryPublish("a", "x");
        Assert.Equal(PacketType.Publish, (await peer.ExpectAsync(PacketType.Publish).Bounded()).Type);
        await Assert.ThrowsAsync<FormatException>(() => peer.PlayAsync("PINGREQ"));
        await Assert.ThrowsAsync<FormatException>(() => peer.SendAsync("NONSENSE"));
        await Assert.ThrowsAsync<ScriptException>(() => peer.SendAsync("PINGREQ"));
    }
}
