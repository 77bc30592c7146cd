using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace Mqtt5.Client.Tests;

// A WebSocket server of 127.0.0.1 on a free port, which gives the first WebSocket to the test and keeps it until its end.
internal sealed class WebSocketServer : IAsyncDisposable
{
    private readonly TaskCompletionSource<Accepted> accepted = new();
    private readonly TaskCompletionSource ended = new();
    private readonly WebApplication application;
    private readonly string scheme;

    private WebSocketServer(X509Certificate2? certificate, string? subprotocol)
    {
        scheme = certificate is null ? "ws" : "wss";
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            if (certificate is not null)
                listen.UseHttps(certificate);
        }));
        application = builder.Build();
        application.UseWebSockets();
        application.Run(async context =>
        {
            using var socket = await context.WebSockets.AcceptWebSocketAsync(subprotocol);
            accepted.TrySetResult(new Accepted(socket, context.Request.Headers["X-Token"], context.WebSockets.WebSocketRequestedProtocols));
            await ended.Task;
        });
    }

    public string Address => $"{scheme}://localhost:{new Uri(application.Urls.Single()).Port}/mqtt";

    public static async Task<WebSocketServer> StartAsync(X509Certificate2? certificate = null, string? subprotocol = "mqtt")
    {
        var server = new WebSocketServer(certificate, subprotocol);
        await server.application.StartAsync();
        return server;
    }

    public Task<Accepted> AcceptedAsync() => accepted.Task.Bounded();

    public async ValueTask DisposeAsync()
    {
        ended.TrySetResult();
        await application.DisposeAsync();
    }

    internal sealed record Accepted(WebSocket Socket, string? Header, IList<string> Offered);
}
