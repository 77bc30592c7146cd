using System.Diagnostics;

namespace Mqtt5.Cli;

/// <summary>What becomes of sessions and Will Messages.</summary>
internal static class SessionChecks
{
    private const string Group = "Sessions";

    /// <summary>All of them.</summary>
    public static IEnumerable<ProbeCheck> All =>
    [
        new(Group, "Assigned identifiers", AssignedAsync) { NeedsMqtt5 = true },
        new(Group, "Resume", ResumeAsync),
        new(Group, "Session Expiry", ExpiryAsync) { NeedsMqtt5 = true },
        new(Group, "Take-over", TakeOverAsync),
        new(Group, "Will Message", WillAsync),
        new(Group, "Will Delay", WillDelayAsync) { NeedsMqtt5 = true },
        new(Group, "Response Information", ResponseInformationAsync) { NeedsMqtt5 = true },
    ];

    private static async Task<ProbeFinding> AssignedAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        try
        {
            await using var client = await world.ConnectAsync(options => options.ClientId = null, cancellationToken);
            return ProbeFinding.Of(
                client.Server?.AssignedClientId is not null, $"as in {client.ClientId}", "a client without one is taken, and told none");
        }
        catch (MqttConnectException refused) when (refused.Reason == ReasonCode.ClientIdentifierNotValid)
        {
            return ProbeFinding.Absent("a client needs one of its own");
        }
    }

    private static async Task<ProbeFinding> ResumeAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        var (topic, id) = (world.Topic(), world.ClientId());
        var lifetime = TimeSpan.FromSeconds(60);
        var before = await world.ConnectAsync(options => Keep(options, id, lifetime, isClean: true), cancellationToken);
        var told = before.Server!.SessionExpiry ?? lifetime;
        await Inbox.OpenAsync(before, new MqttTopicFilter(topic, world.Acknowledged), cancellationToken);
        await before.DisposeAsync();

        if (told == TimeSpan.Zero)
            return ProbeFinding.Absent("announced: sessions end with their connection");

        await (await world.PublisherAsync(cancellationToken)).PublishAsync(topic, "probe", world.Acknowledged, cancellationToken: cancellationToken);
        // Waiting messages arrive right after CONNACK, before anything here could subscribe again.
        using var trace = new StringWriter();
        var after = await world.ConnectAsync(
            options =>
            {
                Keep(options, id, lifetime, isClean: false);
                options.Transport = new TracingTransport(options.CreateTransport(), trace);
            },
            cancellationToken);

        // CONNACK of MQTT 3.1 does not tell.
        if (!after.Server!.SessionPresent && after.Version != MqttVersion.Mqtt31)
            return ProbeFinding.Fails("the server has forgotten the session");

        await world.PassAsync(after, cancellationToken);
        await Task.Delay(ProbeWorld.Quiet, cancellationToken);
        await after.DisposeAsync();
        var came = trace.ToString().Split('\n').Count(line => line.StartsWith("[s>c] PUBLISH", StringComparison.Ordinal) && line.Contains(topic, StringComparison.Ordinal));
        return world.Acknowledged == QoS.AtMostOnce
            ? ProbeFinding.Works("the server goes on with the session")
            : ProbeFinding.Of(came == 1, "a message of QoS 1 waited for its client", $"of a message that should have waited, {came} came");
    }

    private static async Task<ProbeFinding> ExpiryAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        var id = world.ClientId();
        var lifetime = TimeSpan.FromSeconds(1);
        var before = await world.ConnectAsync(options => Keep(options, id, lifetime, isClean: true), cancellationToken);
        await before.DisposeAsync();
        await Task.Delay(TimeSpan.FromSeconds(2.2), cancellationToken);
        var after = await world.ConnectAsync(options => Keep(options, id, lifetime, isClean: false), cancellationToken);
        return ProbeFinding.Of(!after.Server!.SessionPresent, "a session of 1 s is gone after 2.2 s", "a session of 1 s is still there after 2.2 s");
    }

    private static async Task<ProbeFinding> TakeOverAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        var id = world.ClientId();
        var first = await world.ConnectAsync(options => options.ClientId = id, cancellationToken);
        var ended = new TaskCompletionSource<MqttException?>(TaskCreationOptions.RunContinuationsAsynchronously);
        first.Disconnected += (_, lost) => ended.TrySetResult(lost.Cause);
        await world.ConnectAsync(options => options.ClientId = id, cancellationToken);
        var cause = await ended.Task.WaitAsync(cancellationToken);
        return cause?.Reason == ReasonCode.SessionTakenOver
            ? ProbeFinding.Works("the older connection ends with 0x8E")
            : ProbeFinding.Figure($"the older connection ends, {(cause?.Reason is { } reason ? $"with 0x{(byte)reason:X2}" : "without a reason")}");
    }

    private static async Task<ProbeFinding> WillAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        var topic = world.Topic();
        var inbox = await Inbox.OpenAsync(await world.SubscriberAsync(cancellationToken), new MqttTopicFilter(topic, world.Acknowledged), cancellationToken);
        var quiet = await world.ConnectAsync(options => options.Will = Will(world, topic, "wrong", null), cancellationToken);
        await quiet.DisconnectAsync(cancellationToken: cancellationToken);
        var loud = await world.ConnectAsync(options => options.Will = Will(world, topic, "right", null), cancellationToken);
        await loud.DisconnectAsync(ReasonCode.DisconnectWithWillMessage, cancellationToken: cancellationToken);
        var message = await inbox.NextAsync(cancellationToken);
        return ProbeFinding.Of(message.Text == "right", "published where asked for, and only there", "published after a normal DISCONNECT");
    }

    private static async Task<ProbeFinding> WillDelayAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        var (topic, id) = (world.Topic(), world.ClientId());
        var delay = TimeSpan.FromSeconds(1);
        var inbox = await Inbox.OpenAsync(await world.SubscriberAsync(cancellationToken), new MqttTopicFilter(topic, world.Acknowledged), cancellationToken);
        var client = await world.ConnectAsync(
            options =>
            {
                Keep(options, id, TimeSpan.FromSeconds(60), isClean: true);
                options.Will = Will(world, topic, "probe", delay);
            },
            cancellationToken);

        if (client.Server!.SessionExpiry == TimeSpan.Zero)
            return ProbeFinding.Absent("not tried: sessions end with their connection, and the delay with them");

        var began = Stopwatch.GetTimestamp();
        await client.DisconnectAsync(ReasonCode.DisconnectWithWillMessage, cancellationToken: cancellationToken);
        await inbox.NextAsync(cancellationToken);
        var took = Stopwatch.GetElapsedTime(began);
        // Servers count in whole seconds, and may begin in the middle of one.
        return ProbeFinding.Of(took > delay / 10, $"of 1 s, published after {Figures.Duration(took)}", $"of 1 s, but published after {Figures.Duration(took)}");
    }

    private static async Task<ProbeFinding> ResponseInformationAsync(ProbeWorld world, CancellationToken cancellationToken)
    {
        await using var client = await world.ConnectAsync(options => options.RequestResponseInformation = true, cancellationToken);
        return client.Server!.ResponseInformation is { } information
            ? ProbeFinding.Works($"as in {information}")
            : ProbeFinding.Absent("it gives none, as it may");
    }

    private static void Keep(MqttClientOptions options, string id, TimeSpan lifetime, bool isClean)
    {
        options.ClientId = id;
        options.SessionExpiry = lifetime;
        options.CleanStart = isClean;
    }

    private static MqttWill Will(ProbeWorld world, string topic, string text, TimeSpan? delay) =>
        new() { Message = new MqttMessage { Topic = topic, Text = text, QoS = world.Acknowledged }, Delay = delay };
}
