using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Http;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// A web socket.
internal sealed class WebSocketOrigin(HttpContext context, CancellationTokenSource cut) : Origin
{
    // Not asked for later: by then the context may serve another request.
    private readonly string? endPoint = context.Connection.RemoteIpAddress is { } address
        ? new IPEndPoint(address, context.Connection.RemotePort).ToString()
        : null;

    private readonly CancellationToken closed = context.RequestAborted;

    private readonly X509Certificate2? certificate = context.Connection.ClientCertificate;

    public override Listener? Listener { get; } = context.Features.Get<ListenerFeature>()?.Listener;

    public override string? EndPoint => endPoint;

    public override X509Certificate2? Certificate => certificate;

    public override CancellationToken Closed => closed;

    public override void Abort()
    {
        cut.Cancel();
        context.Abort();
    }
}
