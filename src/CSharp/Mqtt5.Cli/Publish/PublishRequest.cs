namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 pub</c> is asked for.</summary>
/// <param name="Connection">How to connect.</param>
/// <param name="Message">What to publish.</param>
/// <param name="Repeat">How often.</param>
/// <param name="RepeatDelay">How long to wait between.</param>
/// <param name="MaximumInFlight">How many messages of QoS 1 and 2 may be unacknowledged.</param>
internal sealed record PublishRequest(
    ConnectionRequest Connection, MessageRequest Message, int Repeat, TimeSpan RepeatDelay, int MaximumInFlight);
