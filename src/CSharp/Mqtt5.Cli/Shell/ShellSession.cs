using System.Collections.Immutable;
using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>What the commands of the shell work on: a connection, its subscriptions, and what was seen so far.</summary>
internal sealed partial class ShellSession(ConnectionRequest defaults, Terminal terminal, ShellScreen screen) : IAsyncDisposable
{
    private const int ValueColumn = 21;
    private const int WaitingMessages = 10_000;
    private const long WaitingBytes = 32 * 1024 * 1024;
    private static readonly TimeSpan UsualWait = TimeSpan.FromSeconds(10);

    private readonly Terminal shellTerminal = terminal with { Error = new ShellErrorWriter(screen) };
    private readonly SeenTopics topics = new();
    private readonly SemaphoreSlim unwaited = new(0);
    private volatile ImmutableSortedDictionary<string, ShellSubscription> subscriptions = ImmutableSortedDictionary.Create<string, ShellSubscription>(StringComparer.Ordinal);
    private ShellConnection? connection;
    private uint identifiers;
    private long received;
    private long published;

    /// <summary>True when the person wants to leave.</summary>
    public bool IsOver { get; private set; }

    /// <summary>What stands before the line that is typed: the server, and whether it is away.</summary>
    public string Prompt =>
        connection is null ? "mqtt5> "
        : connection.Client.State.Status == MqttConnectionStatus.Connected ? $"{connection.Name}> "
        : $"{connection.Name} (away)> ";

    /// <summary>Runs a line. An empty one, and a comment, do nothing.</summary>
    /// <exception cref="UsageException">The line is no command.</exception>
    /// <exception cref="MqttException">The server refused, or cannot be reached.</exception>
    public async Task RunAsync(string text, CancellationToken cancellationToken)
    {
        var line = new ShellLine(text.Replace('\t', ' '));

        if (line.Word() is not { } name || name.StartsWith('#'))
            return;

        var command = ShellCommandLine.Find(name);
        await (command.Name switch
        {
            "connect" => ConnectAsync(line, cancellationToken),
            "disconnect" => DisconnectAsync(line, cancellationToken),
            "sub" => SubscribeAsync(line, cancellationToken),
            "unsub" => UnsubscribeAsync(line, cancellationToken),
            "pub" => PublishAsync(line, cancellationToken),
            "wait" => WaitAsync(line, cancellationToken),
            "status" => ShowStatus(line),
            "help" => ShowHelp(line),
            _ => ExitAsync(line, cancellationToken),
        });
    }

    /// <summary>What a failure of a line is to a person; null: the shell cannot go on.</summary>
    public string? Explain(Exception failure) =>
        failure switch
        {
            MqttException mqtt => ConnectionFailure.Describe(mqtt, (connection?.Server ?? lastServer) ?? defaults.Server),
            IOException io when StandardOutput.IsClosed(io) => null,
            UsageException or ArgumentException or IOException or TimeoutException => failure.Message,
            _ => null,
        };

    /// <summary>What the last word of a line that is typed may become.</summary>
    public IReadOnlyList<string> Complete(string text) =>
        ShellCompletion.Of(text, topics.All(), [.. subscriptions.Keys], defaults.Server);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (connection is not null)
            await connection.DisposeAsync();

        unwaited.Dispose();
    }

    private ShellConnection Connected() =>
        connection ?? throw new UsageException("there is no connection; 'connect [URL]' makes one");

    private static string Need(string? argument, string command) =>
        argument ?? throw new UsageException($"something is missing: {ShellCommandLine.Find(command).Usage}");

    private static void ExpectEnd(ShellLine line, string command)
    {
        if (!line.IsAtEnd)
            throw new UsageException($"too much: '{line.Rest()}'; it is: {ShellCommandLine.Find(command).Usage}");
    }

    private static QoS QoSOf(string text) =>
        text switch
        {
            "0" => QoS.AtMostOnce,
            "1" => QoS.AtLeastOnce,
            "2" => QoS.ExactlyOnce,
            _ => throw new UsageException($"the QoS is 0, 1 or 2, not '{text}'"),
        };

    private async Task PublishAsync(ShellLine line, CancellationToken cancellationToken)
    {
        var topic = Need(line.Word(), "pub");
        var qos = QoSOf(line.WordBeforeOthers("0", "1", "2") ?? "0");
        var isRetained = line.WordBeforeOthers("retain") is not null;

        if (line.IsAtEnd)
            throw new UsageException("the payload is missing; an empty one is \"\"");

        var result = await Connected().Client.PublishAsync(topic, line.Rest(), qos, isRetained, cancellationToken);
        published++;
        topics.Add(topic);
        var answer = qos == QoS.AtMostOnce ? "published" : $"published, {Spec.reasonTitle(qos == QoS.AtLeastOnce ? PacketType.Puback : PacketType.Pubrec, result.Reason)}";
        screen.Write(new Line().Add(answer, Look.Quiet));
    }

    private async Task SubscribeAsync(ShellLine line, CancellationToken cancellationToken)
    {
        var filter = Need(line.Word(), "sub");
        var qos = QoSOf(line.Word() ?? "0");
        ExpectEnd(line, "sub");
        var current = Connected();

        // A server replaces a subscription to the same filter, so its messages are shown once.
        if (subscriptions.ContainsKey(filter))
        {
            subscriptions = subscriptions.Remove(filter);
            await current.Client.UnsubscribeAsync(filter, cancellationToken: cancellationToken);
        }

        var added = new ShellSubscription(filter, qos, ++identifiers);
        var subscription = await current.Client.SubscribeAsync(
            [new MqttTopicFilter(filter, qos)],
            new MqttSubscribeOptions
            {
                SubscriptionIdentifier = current.Client.Version == MqttVersion.Mqtt5 ? added.Identifier : null,
                ManualAcknowledgement = true,
            },
            cancellationToken);
        subscriptions = subscriptions.SetItem(filter, added);
        _ = Task.Run(() => ShowAllAsync(subscription, added), CancellationToken.None);
        screen.Write(new Line().Add($"subscribed to {filter}, {Spec.reasonTitle(PacketType.Suback, subscription.Results[0].Reason)}", Look.Quiet));
    }

    private async Task UnsubscribeAsync(ShellLine line, CancellationToken cancellationToken)
    {
        var filter = Need(line.Word(), "unsub");
        ExpectEnd(line, "unsub");
        var result = await Connected().Client.UnsubscribeAsync(filter, cancellationToken: cancellationToken);
        subscriptions = subscriptions.Remove(filter);

        if (result.Reason != ReasonCode.Success)
            throw new UsageException($"{filter}: {Spec.reasonTitle(PacketType.Unsuback, result.Reason)}");

        screen.Write(new Line().Add($"unsubscribed from {filter}", Look.Quiet));
    }

    private async Task WaitAsync(ShellLine line, CancellationToken cancellationToken)
    {
        var count = Number(Need(line.Word(), "wait"), 1, 1_000_000);
        var time = line.Word() is { } seconds ? TimeSpan.FromSeconds(Number(seconds, 1, 86_400)) : UsualWait;
        ExpectEnd(line, "wait");
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        end.CancelAfter(time);

        for (var come = 0; come < count; come++)
        {
            try
            {
                await unwaited.WaitAsync(end.Token);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw new TimeoutException($"{come} of {Figures.Count(count, "message")} came in {time.TotalSeconds:0} s");
            }
        }
    }

    private static int Number(string text, int least, int greatest) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= greatest
            ? number
            : throw new UsageException($"'{text}' is no number from {least} to {greatest}");

    // Runs until the subscription ends. The backlog is bounded in case the terminal is suspended.
    private async Task ShowAllAsync(MqttSubscription subscription, ShellSubscription shown)
    {
        var backlog = new Backlog(WaitingMessages, WaitingBytes);
        var filling = Task.Run(() => backlog.FillAsync(subscription, CancellationToken.None), CancellationToken.None);

        try
        {
            while (await backlog.NextAsync(CancellationToken.None) is { } message)
            {
                Show(message, shown);
                message.Acknowledge();

                if (backlog.TakeDropped() is > 0 and var dropped)
                    screen.Write(new Line().Add($"{Figures.Count(dropped, "message")} of QoS 0 to {shown.Filter} dropped", Look.Bad));
            }

            await filling;
        }
        catch (Exception failure) when (failure is MqttException or IOException)
        {
            // The end of the connection is reported elsewhere, and without an output there is nothing to report.
        }
    }

    private void Show(MqttReceivedMessage message, ShellSubscription subscription)
    {
        // A packet that several subscriptions get is shown once, by the first of them.
        if (subscriptions.Values.TakeWhile(one => string.CompareOrdinal(one.Filter, subscription.Filter) < 0).Any(one => one.Gets(message)))
            return;

        Interlocked.Increment(ref received);
        topics.Add(message.Topic);
        screen.Write(ShellMessage.ToLines(message, screen.IsLive ? DateTimeOffset.Now : null));
        unwaited.Release();
    }
}
