namespace Mqtt5.Transports;

// Reads the Server Reference of a redirection (section 4.11): a list of references, separated by spaces, each a
// host, a host and a port, or a URI.
internal static class ServerReference
{
    // The first usable server reference, reached by the same kind of transport; null: there is none. TLS is never downgraded
    // to plaintext, since a forged reference could then expose all traffic.
    public static Uri? Resolve(string reference, Uri origin)
    {
        foreach (var one in reference.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (one.Contains("://", StringComparison.Ordinal))
            {
                if (Uri.TryCreate(one, UriKind.Absolute, out var whole) && MayFollow(origin.Scheme, whole.Scheme))
                    return whole;
            }
            else if (Uri.TryCreate($"{origin.Scheme}://{one}", UriKind.Absolute, out var host) && host.Host.Length > 0)
            {
                return new UriBuilder(host) { Path = origin.AbsolutePath, Query = origin.Query }.Uri;
            }
        }

        return null;
    }

    private static bool MayFollow(string from, string to) => to == from || (from, to) is ("mqtt", "mqtts") or ("ws", "wss");
}
