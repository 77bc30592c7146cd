using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Mqtt5.Admin;

namespace Mqtt5.BrokerTests;

// A broker and the server of its HTTP API, each on a free port, and clients of HTTP for each role.
internal sealed class AdminSetup : IAsyncDisposable
{
    private readonly string folder;
    private readonly string[] lines;

    private AdminSetup(string folder, MqttBroker broker, MqttAdminServer server, AuditLog audit)
    {
        this.folder = folder;
        lines = File.ReadAllLines(TokenFileIn(folder));
        Broker = broker;
        Server = server;
        Audit = audit;
    }

    public MqttBroker Broker { get; }

    public MqttAdminServer Server { get; }

    public AuditLog Audit { get; }

    public string TokenFile => TokenFileIn(folder);

    public static async Task<AdminSetup> StartAsync(Action<MqttBrokerOptions>? configure = null, Action<MqttAdminServerOptions>? configureAdmin = null)
    {
        var folder = Directory.CreateTempSubdirectory("mqtt5-admin-").FullName;
        var audit = new AuditLog();
        var broker = await Brokers.StartAsync(configure);
        var options = new MqttAdminServerOptions { Port = 0, TokenFile = TokenFileIn(folder), LoggerFactory = audit };
        options.Api.RequestsPerSecond = 10_000;
        configureAdmin?.Invoke(options);
        return new AdminSetup(folder, broker, await MqttAdminServer.StartAsync(broker, options), audit);
    }

    public string TokenOf(MqttAdminRole role) =>
        lines.Single(line => line.StartsWith($"{role.ToString().ToLowerInvariant()} ", StringComparison.Ordinal)).Split(' ')[1];

    // Null: without a token. From another address of this machine, if one is given.
    public HttpClient Client(MqttAdminRole? role, string? from = null)
    {
        var handler = new SocketsHttpHandler { UseCookies = false, UseProxy = false, AllowAutoRedirect = false };

        if (from is not null)
        {
            handler.ConnectCallback = async (context, cancellationToken) =>
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                socket.Bind(new IPEndPoint(IPAddress.Parse(from), 0));
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            };
        }

        var client = new HttpClient(handler) { BaseAddress = new Uri(Server.Address + "/"), Timeout = RawClient.Patience };

        if (role is { } known)
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", TokenOf(known));

        return client;
    }

    public async Task<JsonElement> GetAsync(string path, HttpStatusCode status = HttpStatusCode.OK)
    {
        using var client = Client(MqttAdminRole.Viewer);
        using var answer = await client.GetAsync(path);
        Assert.Equal(status, answer.StatusCode);
        return await JsonOf(answer);
    }

    public async Task<HttpResponseMessage> ChangeAsync(MqttAdminRole? role, HttpMethod method, string path, string? json = null)
    {
        using var client = Client(role);
        using var request = new HttpRequestMessage(method, path);
        request.Headers.Add("Mqtt5-Admin", "1");

        if (json is not null)
            request.Content = new StringContent(json, Encoding.UTF8, "application/json");

        return await client.SendAsync(request);
    }

    public static async Task<JsonElement> JsonOf(HttpResponseMessage answer)
    {
        using var document = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        return document.RootElement.Clone();
    }

    // Asserts a problem, and gives where it is.
    public static async Task<string?> ProblemAsync(HttpResponseMessage answer, HttpStatusCode status)
    {
        Assert.Equal(status, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        var problem = await JsonOf(answer);
        Assert.Equal((int)status, problem.GetProperty("status").GetInt32());
        Assert.NotEmpty(problem.GetProperty("detail").GetString()!);
        return problem.TryGetProperty("where", out var where) ? where.GetString() : null;
    }

    public Task<MqttClient> ConnectAsync(string clientId, TimeSpan? expiry = null)
    {
        var options = Brokers.For(Broker, "mqtt", clientId);
        options.SessionExpiry = expiry;
        return MqttClient.ConnectAsync(options).Bounded();
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        await Broker.DisposeAsync();
        Directory.Delete(folder, recursive: true);
        Audit.Dispose();
    }

    private static string TokenFileIn(string folder) => Path.Combine(folder, "tokens");
}

// What the API logs.
internal sealed class AuditLog : ILoggerFactory
{
    public ConcurrentQueue<string> Lines { get; } = [];

    public ILogger CreateLogger(string categoryName) => new Writer(categoryName, Lines);

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public void Dispose()
    {
    }

    private sealed class Writer(string category, ConcurrentQueue<string> lines) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            lines.Enqueue($"{logLevel} {category}: {formatter(state, exception)}");
    }
}
