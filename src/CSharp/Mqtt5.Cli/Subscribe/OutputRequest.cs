namespace Mqtt5.Cli;

/// <summary>How received messages are printed.</summary>
/// <param name="Format">The format; null: the payload.</param>
/// <param name="IsVerbose">Whether the topic stands before the payload.</param>
/// <param name="EndsLines">Whether a line end follows.</param>
/// <param name="IsPretty">Whether JSON stands in several lines.</param>
/// <param name="ShowsSubscriptionIdentifier">Whether Subscription Identifiers are shown; the client's own are not.</param>
internal sealed record OutputRequest(
    MessageFormat? Format, bool IsVerbose, bool EndsLines, bool IsPretty, bool ShowsSubscriptionIdentifier);
