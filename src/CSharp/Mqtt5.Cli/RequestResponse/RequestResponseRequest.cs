namespace Mqtt5.Cli;

/// <summary>What <c>mqtt5 rr</c> is asked for.</summary>
/// <param name="Connection">How to connect.</param>
/// <param name="Message">The request.</param>
/// <param name="Output">How the answer is printed.</param>
/// <param name="ResponseTopic">Where the answer is awaited; null: where the client sees fit, with Correlation Data.</param>
/// <param name="SkipsRetained">Whether a retained message is no answer.</param>
/// <param name="Timeout">How long to wait for the answer; null: for ever.</param>
internal sealed record RequestResponseRequest(
    ConnectionRequest Connection,
    MessageRequest Message,
    OutputRequest Output,
    string? ResponseTopic,
    bool SkipsRetained,
    TimeSpan? Timeout);
