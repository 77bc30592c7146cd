using System.Collections.Concurrent;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Mqtt5.BrokerTests.HttpHook;

// An HTTP server on a free port of this machine that notes what it is asked and answers what the test says.
internal sealed class HookServer : IAsyncDisposable
{
    private readonly WebApplication application;

    private HookServer(WebApplication application) => this.application = application;

    public ConcurrentQueue<Request> Requests { get; } = new();

    // What is answered to a body; by default every client may do everything.
    public Func<HttpContext, JsonElement, Task> Answer { get; set; } = (context, _) => context.Response.WriteAsync("""{"allow":true}""");

    public Uri Url { get; private set; } = new("http://127.0.0.1");

    public Uri Connect => new(Url, "/connect");

    public Uri Topic => new(Url, "/topic");

    public static async Task<HookServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var server = new HookServer(builder.Build());
        server.application.Run(server.AnswerAsync);
        await server.application.StartAsync().Bounded();
        server.Url = new Uri(server.application.Urls.Single());
        return server;
    }

    // A fixed answer.
    public void Say(string json) => Answer = (context, _) => context.Response.WriteAsync(json);

    public async ValueTask DisposeAsync() => await application.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var text = await reader.ReadToEndAsync();
        Requests.Enqueue(new Request(context.Request.Method, context.Request.Path, text, context.Request.Headers.Authorization, context.Request.ContentType));
        using var body = JsonDocument.Parse(text.Length == 0 ? "{}" : text);
        await Answer(context, body.RootElement);
    }

    internal sealed record Request(string Method, string Path, string Body, string? Authorization, string? ContentType);
}
