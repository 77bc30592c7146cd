using Mqtt5.Admin;

namespace Mqtt5.Cli;

/// <summary>
/// Reads the files of passwords, rules and certificates again, all or nothing: every file is read before any is applied.
/// Safe to use from many threads; one reload runs at a time. The service manager is told of its beginning and its end.
/// </summary>
internal sealed class BrokerReload(
    BrokerRequest request, BrokerAccess access, BrokerCertificates certificates, MqttBroker broker, Terminal terminal, Action begins, Action ends) : IDisposable
{
    private readonly SemaphoreSlim turn = new(1);

    /// <summary>The files that are read.</summary>
    public IReadOnlyList<string> Files { get; } =
    [
        .. new[] { request.PasswordFile, request.AccessFile, request.MosquittoAclFile }.OfType<string>(),
        .. request.Listeners.SelectMany(one => new[] { one.Access?.PasswordFile, one.Access?.AclFile }).OfType<string>().Distinct(),
        .. request.TlsFiles.SelectMany(one => new[] { one.Certificate, one.Key }.Concat(one.Authorities)).Distinct(),
    ];

    /// <summary>Reloads, and tells it on standard error.</summary>
    /// <returns>What became of it. A file that cannot be used is no exception.</returns>
    public async Task<MqttReloadOutcome> RunAsync(CancellationToken cancellationToken)
    {
        await turn.WaitAsync(cancellationToken);
        begins();

        try
        {
            var outcome = await ApplyAsync(cancellationToken);
            await terminal.Error.WriteLineAsync($"mqtt5: {outcome.Detail}");
            return outcome;
        }
        finally
        {
            ends();
            turn.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => turn.Dispose();

    private async Task<MqttReloadOutcome> ApplyAsync(CancellationToken cancellationToken)
    {
        try
        {
            var next = await AccessState.LoadAsync(request, cancellationToken);
            certificates.Reload()();
            var (ended, disconnected) = await access.ChangeAsync(next, broker);
            return new MqttReloadOutcome(true, $"reloaded; {Figures.Count(ended, "session")} ended, {Figures.Count(disconnected, "client")} disconnected");
        }
        catch (Exception exception) when (Failure.Describe(exception) is { } description)
        {
            return new MqttReloadOutcome(false, $"not reloaded, all stays as it was: {description}");
        }
    }
}
