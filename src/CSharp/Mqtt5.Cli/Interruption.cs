using System.Runtime.InteropServices;

namespace Mqtt5.Cli;

/// <summary>
/// Ctrl+C and SIGTERM as a token: the verb ends by itself, in the time that it needs. A second one ends the process at once.
/// </summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource stop = new();
    private readonly Lock gate = new();
    private readonly PosixSignalRegistration[] registrations;
    private bool isOver;

    /// <summary>Takes the signals until it is disposed.</summary>
    public Interruption() =>
        registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Take),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Take),
        ];

    /// <summary>Set by the first signal.</summary>
    public CancellationToken Token => stop.Token;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var registration in registrations)
            registration.Dispose();

        // A signal may be on its way all the same.
        lock (gate)
        {
            isOver = true;
            stop.Dispose();
        }
    }

    private void Take(PosixSignalContext context)
    {
        lock (gate)
        {
            if (isOver || stop.IsCancellationRequested)
                return;

            context.Cancel = true;

            // Continuations of the token run on other threads, so that the signal handler can return.
            _ = stop.CancelAsync();
        }
    }
}
