using System.Runtime.InteropServices;
using System.Threading.Channels;

namespace Mqtt5.Cli;

/// <summary>SIGHUP, which reloads. While it exists, the signal does not end the process.</summary>
internal sealed class Reloads : IDisposable
{
    // Signals that arrive before the first is handled are coalesced.
    private readonly Channel<bool> signals = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly PosixSignalRegistration? registration;

    /// <summary>Handles the signal until disposed.</summary>
    public Reloads()
    {
        // On Windows, SIGHUP means that the console is being closed.
        if (!OperatingSystem.IsWindows())
            registration = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Take);
    }

    /// <summary>Reloads at each signal.</summary>
    /// <returns>When it is cancelled.</returns>
    public async Task RunAsync(BrokerReload reload, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var _ in signals.Reader.ReadAllAsync(cancellationToken))
                await reload.RunAsync("SIGHUP", cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The broker is shutting down.
        }
    }

    /// <inheritdoc/>
    public void Dispose() => registration?.Dispose();

    private void Take(PosixSignalContext context)
    {
        context.Cancel = true;
        signals.Writer.TryWrite(true);
    }
}
