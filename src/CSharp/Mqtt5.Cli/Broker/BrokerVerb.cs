using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Mqtt5.Storage;

namespace Mqtt5.Cli;

/// <summary>Runs a broker until it is stopped by a signal.</summary>
internal static class BrokerVerb
{
    private static readonly TimeSpan TrimInterval = TimeSpan.FromMinutes(1);

    /// <summary>Runs a broker as requested.</summary>
    public static Task<int> RunAsync(BrokerSource source, Terminal terminal, CancellationToken cancellationToken) =>
        TellAsync(() => ServeAsync(source, terminal, cancellationToken), terminal, cancellationToken);

    /// <summary>Checks what is requested, and starts nothing.</summary>
    public static Task<int> CheckAsync(BrokerSource source, Terminal terminal, CancellationToken cancellationToken) =>
        TellAsync(
            async () =>
            {
                var request = await source.ReadAsync(terminal);
                BrokerSetup.CheckAccess(request);
                await ConfigCheck.RunAsync(
                    request,
                    (options, access, certificates) => BrokerSetup.Configure(options, request, access, certificates.Options, NullLoggerFactory.Instance, null),
                    terminal,
                    cancellationToken);
                await terminal.Output.WriteLineAsync("the configuration can be used");
                return ExitCode.WellFormed;
            },
            terminal,
            cancellationToken);

    private static async Task<int> ServeAsync(BrokerSource source, Terminal terminal, CancellationToken cancellationToken)
    {
        // First, so that a signal during startup does not kill the process.
        using var reloads = new Reloads();
        using var manager = new ServiceManager();

        var request = await source.ReadAsync(terminal);
        var threshold = new LogThreshold(request.LogLevel);
        using var loggers = LoggerFactory.Create(logging => logging
            .AddFilter(threshold.Allows)
            .AddProvider(new ErrorLogProvider(terminal.Error)));

        BrokerSetup.CheckAccess(request);
        var access = new BrokerAccess(await AccessState.LoadAsync(request, cancellationToken));
        using var certificates = new BrokerCertificates(request);
        // The broker disposes it, but for one that did not start.
        await using var store = request.Store is { } folder ? new SqliteMqttStore(folder, request.StoreOptions) : null;
        await using var broker = await MqttBroker.StartAsync(options => BrokerSetup.Configure(options, request, access, certificates.Options, loggers, store), cancellationToken);

        if (store?.SetAside is { } aside)
            await terminal.Error.WriteLineAsync($"mqtt5: the store was damaged and is now {aside}; the broker begins with an empty one");

        foreach (var address in broker.Addresses)
            await terminal.Output.WriteLineAsync($"listening {address.ToString().TrimEnd('/')}");

        using var reload = new BrokerReload(source, request, access, certificates, threshold, broker, loggers, store, terminal, manager.Reloading, Ready);
        await using var admin = await BrokerAdmin.StartAsync(request, broker, certificates, reload, loggers, terminal, cancellationToken);
        await terminal.Output.FlushAsync(CancellationToken.None);
        Ready();
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var running = Task.WhenAll(
            QuietTime.WatchAsync(ending.Token),
            TrimAsync(access, broker, ending.Token),
            manager.BeatAsync(ending.Token),
            reloads.RunAsync(reload, ending.Token),
            request.ReloadsOnChange ? FileChanges.WatchAsync(() => reload.Seen, () => reload.RunAsync("a file changed", ending.Token), ending.Token) : Task.CompletedTask);

        if (await Task.WhenAny(running, broker.StoreFailed) == running)
        {
            await running;
            manager.Stopping();
            return ExitCode.WellFormed;
        }

        manager.Stopping();
        await ending.CancelAsync();
        await running;
        await terminal.Error.WriteLineAsync($"mqtt5: {(await broker.StoreFailed).Message}");
        return ExitCode.StoreFailed;

        void Ready() => manager.Ready($"listening {string.Join(' ', broker.Addresses.Select(address => address.ToString().TrimEnd('/')))}");
    }

    // Exit codes and messages of what goes wrong.
    private static async Task<int> TellAsync(Func<Task<int>> work, Terminal terminal, CancellationToken cancellationToken)
    {
        try
        {
            return await work();
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return ExitCode.WellFormed;
        }
        catch (IOException exception) when (StandardOutput.IsClosed(exception))
        {
            return ExitCode.WellFormed;
        }
        catch (MqttStoreException exception)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return ExitCode.StoreUnusable;
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException)
        {
            // Conflicting options.
            await terminal.Error.WriteLineAsync($"mqtt5: {exception.Message}");
            return ExitCode.BadUsage;
        }
        catch (Exception exception) when (Failure.Describe(exception) is { } description)
        {
            await terminal.Error.WriteLineAsync($"mqtt5: {description}");
            return ExitCode.BadUsage;
        }
    }

    private static async Task TrimAsync(BrokerAccess access, MqttBroker broker, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(TrimInterval);

        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
                access.Trim(broker);
        }
        catch (OperationCanceledException)
        {
            // The broker is shutting down.
        }
    }
}
