namespace Mqtt5.Serving;

// Disconnect reasons as text, for logs and hooks.
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
}
