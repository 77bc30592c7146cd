namespace Mqtt5.Cli;

/// <summary>A connection that the shell has open, and the certificates that it uses.</summary>
internal sealed class ShellConnection(ConnectionRequest request, PreparedConnection prepared) : IAsyncDisposable
{
    /// <summary>How it was asked for.</summary>
    public ConnectionRequest Request => request;

    /// <summary>The server.</summary>
    public Uri Server => request.Server;

    /// <summary>The server as a prompt names it.</summary>
    public string Name { get; } = NameOf(request.Server);

    /// <summary>When it was made.</summary>
    public DateTimeOffset Since { get; } = prepared.Options.TimeProvider.GetUtcNow();

    /// <summary>The client.</summary>
    public MqttClient Client { get; } = new(prepared.Options);

    /// <summary>A server as a prompt names it.</summary>
    public static string NameOf(Uri server) => server.Scheme == "unix" ? server.AbsolutePath : server.Authority;

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        prepared.Dispose();
    }
}
