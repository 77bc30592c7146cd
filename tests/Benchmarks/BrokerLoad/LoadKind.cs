using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>A load of the generator.</summary>
/// <param name="Name">What it is called on the command line.</param>
/// <param name="Title">What it is called in the table.</param>
/// <param name="Publishers">How many publishers there are.</param>
/// <param name="Copies">How many subscribers get each message.</param>
/// <param name="QoS">The QoS of messages and subscriptions.</param>
/// <param name="Rate">Messages a second, when latency is measured instead of the rate; 0: as many as there can be.</param>
/// <param name="Window">How many messages a publisher has under way at most.</param>
/// <param name="Refill">How many of them have to be acknowledged before it sends again.</param>
/// <param name="Version">5, 311, or mixed: MQTT 5 with each second subscriber in MQTT 3.1.1.</param>
internal sealed record LoadKind(
    string Name, string Title, int Publishers, int Copies, int QoS, int Rate = 0, int Window = 100, int Refill = 1, string Version = "5")
{
    public static LoadKind OneToOne { get; } = new("qos0", "QoS 0, 1 to 1", 1, 1, 0);

    public static LoadKind Latency { get; } = new("latency", "10,000 messages/s, QoS 1, 10 pairs", 10, 1, 1, 10_000);

    public static LoadKind Memory { get; } = new("memory", "KB an idle connection with one subscription", 0, 0, 0);

    public static LoadKind Allocated { get; } = new("allocated", "bytes allocated a message, QoS 0, 1 to 1", 1, 1, 0);

    public static LoadKind Beside { get; } = new("beside", "QoS 0, 1 to 1, beside 100,000 idle subscriptions", 1, 1, 0);

    /// <summary>The loads whose result is messages delivered a second.</summary>
    public static LoadKind[] Rates { get; } =
    [
        OneToOne,
        new("qos1", "QoS 1, 1 to 1", 1, 1, 1),
        new("fanout", "QoS 0, 1 to 50", 1, 50, 0),
        new("pairs", "QoS 1, 50 pairs", 50, 1, 1),
        new("qos2", "QoS 2, 10 pairs", 10, 1, 2),
        new("qos0-311", "MQTT 3.1.1, QoS 0, 1 to 1", 1, 1, 0, Version: "311"),
        new("qos1-311", "MQTT 3.1.1, QoS 1, 1 to 1", 1, 1, 1, Version: "311"),
        new("fanout-mixed", "MQTT 5 and 3.1.1, QoS 0, 1 to 50, half of each", 1, 50, 0, Version: "mixed"),
    ];

    /// <summary>The arguments of the generator.</summary>
    /// <param name="port">Where the broker listens.</param>
    /// <param name="messages">How many messages each publisher sends.</param>
    /// <param name="payloadBytes">The size of a payload; at least 8.</param>
    public string[] Arguments(int port, long messages, int payloadBytes = 16)
    {
        string[] all =
        [
            "--port", Text(port), "--mode", Mode, "--pubs", Text(Publishers), "--subs", Text(Copies),
            "--qos", Text(QoS), "--msgs", Text(messages), "--size", Text(payloadBytes),
            "--window", Text(Window), "--refill", Text(Refill), "--version", Version,
        ];
        return Rate == 0 ? all : [.. all, "--rate", Text(Rate)];
    }

    private string Mode => Copies switch { 0 => "fanin", 1 => "pair", _ => "fanout" };

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
