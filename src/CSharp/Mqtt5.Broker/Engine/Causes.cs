namespace Mqtt5.Serving;

// Causes in words, for logs and hooks.
internal static class Causes
{
    public static string Describe(Cause cause) =>
        cause switch
        {
            Cause.ByPeer byPeer => $"the client disconnected with {byPeer.Outcome.Reason}",
            Cause.Broken broken => broken.Fault.ToString(),
            Cause.TransportFailed failed => failed.Detail,
            Cause.AuthenticationFailed failed => failed.Detail,
            _ => "the broker ended the connection",
        };

    public static string Describe(Settlement reason) =>
        reason switch
        {
            Settlement.Rejected rejected => rejected.Fault.Detail,
            _ when reason.IsExpired => "it expired",
            _ when reason.IsQueueFull => "the queue of the session is full",
            _ => "it was dropped",
        };
}
