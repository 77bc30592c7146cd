using Microsoft.Extensions.Logging;
using Mqtt5.Admin;
using Mqtt5.Storage;

namespace Mqtt5.Cli;

/// <summary>
/// Reads the configuration and the files that it names again, all or nothing: every file is read, and every new listener is
/// open, before anything is applied. Safe to use from many threads; one reload runs at a time. The service manager is told of
/// its beginning and its end.
/// </summary>
internal sealed class BrokerReload(
    BrokerSource source,
    BrokerRequest first,
    BrokerAccess access,
    BrokerCertificates certificates,
    LogThreshold threshold,
    MqttBroker broker,
    ILoggerFactory loggers,
    SqliteMqttStore? store,
    Terminal terminal,
    Action begins,
    Action ends) : IDisposable
{
    private readonly SemaphoreSlim turn = new(1);
    private BrokerRequest request = first;
    private FileStamp[] seen = FileChanges.Read(FilesOf(source, first));

    /// <summary>
    /// The files as they were before they were read last: those in force, and after a failure also those that were to be.
    /// </summary>
    public IReadOnlyList<FileStamp> Seen => Volatile.Read(ref seen);

    /// <summary>Reloads, and tells it on standard error in one line, with what asked for it.</summary>
    /// <returns>What became of it. A file that cannot be used is no exception.</returns>
    public async Task<MqttReloadOutcome> RunAsync(string by, CancellationToken cancellationToken)
    {
        await turn.WaitAsync(cancellationToken);
        begins();

        try
        {
            var outcome = await ApplyAsync(cancellationToken);
            await terminal.Error.WriteLineAsync($"mqtt5: {outcome.Detail} ({by})");
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
            return new MqttReloadOutcome(true, $"reloaded; {await ChangeAsync(cancellationToken)}");
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException)
        {
            return new MqttReloadOutcome(false, $"not reloaded, all stays as it was: {exception.Message}");
        }
        catch (Exception exception) when (Failure.Describe(exception) is { } description)
        {
            return new MqttReloadOutcome(false, $"not reloaded, all stays as it was: {description}");
        }
    }

    private async Task<string> ChangeAsync(CancellationToken cancellationToken)
    {
        // Before any is read, so that no change is missed.
        var stamps = FileChanges.Read(FilesOf(source, request));
        Volatile.Write(ref seen, stamps);
        var next = await source.ReadAsync(terminal);
        Volatile.Write(ref seen, [.. stamps, .. FileChanges.Read(FilesOf(source, next).Except(FilesOf(source, request)))]);
        BrokerSetup.CheckAccess(next);

        if (FixedSettings.FirstChange(request, next) is { } key)
            throw new UsageException($"{source.Name(key)}: it cannot be changed without a restart");

        var state = await AccessState.LoadAsync(next, cancellationToken);
        var reading = certificates.Read(next);
        var options = new MqttBrokerOptions();
        var asking = BrokerSetup.Configure(options, next, access, reading.Options, loggers, store);
        var before = broker.Addresses;
        var earlier = state;

        try
        {
            await broker.ReconfigureAsync(
                options,
                () =>
                {
                    // No client of a new listener is served by old rules.
                    reading.Apply();
                    earlier = access.Replace(state);
                    threshold.Set(next.LogLevel);
                },
                cancellationToken);
        }
        catch (MqttListenException failure)
        {
            throw new UsageException($"{source.Name(asking[failure.Index])}: {failure.Message}");
        }

        var changed = ChangedBetween(request, next);
        request = next;
        var files = FilesOf(source, next);
        Volatile.Write(ref seen, [.. seen.Where(one => files.Contains(one.File))]);
        var (ended, disconnected) = await access.FollowAsync(earlier, state, broker);
        var added = broker.Addresses.Except(before).ToArray();

        foreach (var address in added)
            await terminal.Output.WriteLineAsync($"listening {Text(address)}");

        await terminal.Output.FlushAsync(CancellationToken.None);
        IEnumerable<string> parts =
        [
            $"{Figures.Count(ended, "session")} ended, {Figures.Count(disconnected, "client")} disconnected",
            .. changed.Length > 0 ? [$"changed {string.Join(", ", changed)}"] : Array.Empty<string>(),
            .. added.Select(address => $"listening {Text(address)}"),
            .. before.Except(broker.Addresses).Select(address => $"not listening {Text(address)} any more"),
        ];
        return string.Join("; ", parts);
    }

    // Limits and the level, with their new values.
    private static string[] ChangedBetween(BrokerRequest earlier, BrokerRequest next) =>
    [
        .. LimitTable.All
            .Select(rule => (rule.Key, Before: earlier.Limits.GetValueOrDefault(rule.Name, rule.Default), After: next.Limits.GetValueOrDefault(rule.Name, rule.Default)))
            .Where(limit => limit.Before != limit.After)
            .Select(limit => $"{limit.Key} from {limit.Before} to {limit.After}"),
        .. earlier.LogLevel == next.LogLevel ? Array.Empty<string>() : [$"log-level from {Text(earlier.LogLevel)} to {Text(next.LogLevel)}"],
    ];

    private static string Text(Uri address) => address.ToString().TrimEnd('/');

    private static string Text(LogLevel level) => level.ToString().ToLowerInvariant();

    private static string[] FilesOf(BrokerSource source, BrokerRequest of) =>
    [
        .. source.Files,
        .. new[] { of.PasswordFile, of.AccessFile, of.MosquittoAclFile }.OfType<string>(),
        .. of.Listeners.SelectMany(one => new[] { one.Access?.PasswordFile, one.Access?.AclFile }).OfType<string>().Distinct(),
        .. of.TlsFiles.SelectMany(one => new[] { one.Certificate, one.Key }.Concat(one.Authorities)).Distinct(),
    ];
}
