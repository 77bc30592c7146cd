using System.Runtime.InteropServices;
using System.Threading.Channels;

namespace Mqtt5.Cli;

/// <summary>SIGHUP as something to wait for. While it exists, the signal does not end the process.</summary>
internal sealed class Reloads : IDisposable
{
    // Several signals before the first is answered are one.
    private readonly Channel<bool> signals = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly PosixSignalRegistration? registration;

    /// <summary>Takes the signal until it is disposed.</summary>
    public Reloads()
    {
        // On Windows the signal is that its console is closed.
        if (!OperatingSystem.IsWindows())
            registration = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Take);
    }

    /// <summary>The signals as they come.</summary>
    public IAsyncEnumerable<bool> ReadAllAsync(CancellationToken cancellationToken) => signals.Reader.ReadAllAsync(cancellationToken);

    /// <inheritdoc/>
    public void Dispose() => registration?.Dispose();

    private void Take(PosixSignalContext context)
    {
        context.Cancel = true;
        signals.Writer.TryWrite(true);
    }
}
