using System.Net;
using Microsoft.AspNetCore.Http;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// Origin checks against cross-site WebSocket hijacking. A browser lets a page of any site open a WebSocket to any address,
// including loopback; it sends the page's site in Origin and the requested host name in Host.
internal sealed class WebAccess(MqttBrokerOptions options)
{
    private const string Any = "*";

    private readonly string[] origins = [.. options.WebSocketOrigins.Select(Normalize)];

    // False: refused, and logged.
    public bool Allows(HttpContext context, BrokerEngine engine)
    {
        var origin = context.Request.Headers.Origin.ToString();
        var host = context.Request.Host;

        if (IsAllowed(origin, host, context.Connection.LocalIpAddress))
            return true;

        Log.PageRefused(engine.Logger, context.Connection.RemoteIpAddress?.ToString(), host.Value ?? "", origin);
        return false;
    }

    private bool IsAllowed(string origin, HostString host, IPAddress? local)
    {
        if (origins.Contains(Any))
            return true;

        var isListed = origin.Length > 0 && origins.Contains(Normalize(origin));

        // With an allow list, only its origins; programs other than browsers send no Origin.
        if (origins.Length > 0 && origin.Length > 0 && !isListed)
            return false;

        // Where clients have to authenticate, pages have to as well, so any origin may connect.
        if (options is { Authenticator: not null, AllowAnonymous: false })
            return true;

        // On an address that other machines can reach, the origin check would protect nothing.
        if (local is not null && !IPAddress.IsLoopback(local))
            return true;

        // Only the loopback address protects this listener, so only pages of this machine are accepted. After DNS
        // rebinding, Host still holds the attacker's name.
        return isListed
            || (IsOfThisMachine(host.Host) && (origin.Length == 0 || (Uri.TryCreate(origin, UriKind.Absolute, out var page) && IsPageOfThisMachine(page))));
    }

    private static bool IsPageOfThisMachine(Uri page) =>
        page.Scheme is "http" or "https" && page.UserInfo.Length == 0 && IsOfThisMachine(page.Host);

    // An IP literal cannot be rebound by DNS, so only loopback ones count as this machine.
    private static bool IsOfThisMachine(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    // As browsers serialize origins: no path, and no default port.
    private static string Normalize(string origin) =>
        Uri.TryCreate(origin, UriKind.Absolute, out var uri) && uri.Host.Length > 0
            ? uri.GetLeftPart(UriPartial.Authority).ToLowerInvariant()
            : origin;
}
