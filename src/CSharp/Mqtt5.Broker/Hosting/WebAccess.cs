using System.Net;
using Microsoft.AspNetCore.Http;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// Which web pages may open a WebSocket. A browser lets a page of any site open one to any address, this machine's own
// included, and tells where the page is from in Origin and which name it was told to connect to in Host.
internal sealed class WebAccess(MqttBrokerOptions options)
{
    private const string Any = "*";

    private readonly string[] origins = [.. options.WebSocketOrigins.Select(Normalize)];

    // False: the page may not, which the log tells.
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

        // With a list, only pages of it; programs that are no browsers send no Origin.
        if (origins.Length > 0 && origin.Length > 0 && !isListed)
            return false;

        // Where clients have to authenticate, a page has to as well.
        if (options is { Authenticator: not null, AllowAnonymous: false })
            return true;

        // A listener that others than this machine can reach does not take its being unreachable for a protection.
        if (local is not null && !IPAddress.IsLoopback(local))
            return true;

        // Nothing but the address protects: only pages of this machine come in. A page whose name was made to lead here
        // (DNS rebinding) is given away by that name in Host.
        return isListed
            || (IsOfThisMachine(host.Host) && (origin.Length == 0 || (Uri.TryCreate(origin, UriKind.Absolute, out var page) && IsPageOfThisMachine(page))));
    }

    private static bool IsPageOfThisMachine(Uri page) =>
        page.Scheme is "http" or "https" && page.UserInfo.Length == 0 && IsOfThisMachine(page.Host);

    // An address cannot be made to lead elsewhere, so one that is not of this machine never gets here.
    private static bool IsOfThisMachine(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    // As browsers write it: no path, and no port that goes without saying.
    private static string Normalize(string origin) =>
        Uri.TryCreate(origin, UriKind.Absolute, out var uri) && uri.Host.Length > 0
            ? uri.GetLeftPart(UriPartial.Authority).ToLowerInvariant()
            : origin;
}
