namespace Mqtt5.Cli;

/// <summary>
/// The server that a verb works on: the one that its command line names, or a broker that is started in this process for as
/// long as the verb runs.
/// </summary>
internal sealed class Target : IAsyncDisposable
{
    private readonly List<PreparedConnection> prepared = [];
    private readonly Lock gate = new();
    private readonly ConnectionRequest request;
    private readonly Terminal terminal;
    private readonly MqttBroker? broker;
    private MqttClientOptions? shared;
    private int clients;

    private Target(ConnectionRequest request, Terminal terminal, MqttBroker? broker)
    {
        this.request = request;
        this.terminal = terminal;
        this.broker = broker;
    }

    /// <summary>The server.</summary>
    public Uri Server => request.Server;

    /// <summary>The version of the protocol.</summary>
    public ProtocolVersion Version => request.Version;

    /// <summary>Whether failures and progress are kept quiet.</summary>
    public bool IsQuiet => request.IsQuiet;

    /// <summary>Whether the server was started for the verb.</summary>
    public bool IsEmbedded => broker is not null;

    /// <summary>All addresses of the server that are known.</summary>
    public IReadOnlyList<Uri> Addresses => broker?.Addresses ?? [Server];

    /// <summary>What the server is called on a screen.</summary>
    public string Name => (broker is null ? "" : "an embedded broker, ") + ServerName(Server);

    /// <summary>Starts the broker if one is asked for, and asks for the password, once for all clients.</summary>
    /// <param name="request">How to connect.</param>
    /// <param name="isEmbedded">Whether a broker is to be started.</param>
    /// <param name="configure">How that broker is set up; null: it listens on a free port, and everybody may do everything.</param>
    /// <param name="terminal">Where a password is asked for.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="UsageException">An option cannot be used.</exception>
    public static async Task<Target> OpenAsync(
        ConnectionRequest request, bool isEmbedded, Action<MqttBrokerOptions>? configure, Terminal terminal, CancellationToken cancellationToken)
    {
        var known = request with
        {
            Password = PasswordSource.Read(request, terminal),
            PasswordFile = null,
            AsksForPassword = false,
        };

        if (!isEmbedded)
            return new Target(known, terminal, null);

        var broker = await MqttBroker.StartAsync(configure ?? (options => options.Listen(0)), cancellationToken);
        return new Target(known with { Server = broker.Addresses[0] }, terminal, broker);
    }

    /// <summary>
    /// Options for a client of its own, which does not connect again by itself. Where a Client Identifier was given, each
    /// client after the first adds its number, because a server knows a client by it.
    /// </summary>
    public MqttClientOptions Options()
    {
        lock (gate)
        {
            clients++;
            var id = request.ClientId is { } given && clients > 1 ? $"{given}-{clients}" : request.ClientId;
            var one = PreparedConnection.Of(request with { ClientId = id }, terminal);
            one.Options.Reconnect = null;
            prepared.Add(one);
            return one.Options;
        }
    }

    /// <summary>Options for one of many clients that all connect alike: the same ones, unless each needs its own identifier.</summary>
    public MqttClientOptions OptionsOfMany() => request.ClientId is null ? shared ??= Options() : Options();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (broker is not null)
            await broker.DisposeAsync();

        foreach (var one in prepared)
            one.Dispose();
    }

    private static string ServerName(Uri server) =>
        server.Scheme == "unix" ? $"unix://{server.AbsolutePath}" : $"{server.Scheme}://{server.Authority}{server.AbsolutePath.TrimEnd('/')}";
}
