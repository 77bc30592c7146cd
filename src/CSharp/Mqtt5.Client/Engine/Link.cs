using System.Diagnostics.CodeAnalysis;

namespace Mqtt5.Engine;

// One attempt at a connection and, if it succeeds, the connection. The engine drops all that a link reports once
// another one, or none, is the current one.
[SuppressMessage("Reliability", "CA1001", Justification = "The source has no timer and no handle.")]
internal sealed partial class Link(ClientEngine engine, Uri? server, int number, ProtocolVersion version)
{
    // How long the peer has to close its side once all was told to it.
    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource stop = new();
    private readonly TaskCompletionSource flushed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private IMqttConnection? connection;
    private bool closing;

    // Counts the links of a client, for its log.
    public int Number => number;

    // The version of all packets of the link.
    public ProtocolVersion Version => version;

    // The exchange of enhanced authentication under way. Set under the gate or before the link is the current one.
    public IMqttAuthenticationExchange? Exchange { get; set; }

    // Completes when the authenticator has answered all that the server asked. Used under the gate.
    public Task Answering { get; set; } = Task.CompletedTask;

    // Set when the link is given up.
    public CancellationToken Stopping => stop.Token;

    // Completes when all that was sent before the link was closed has been written, or cannot be any more.
    public Task Flushed => flushed.Task;

    public void Start() => _ = Task.Run(RunAsync);

    // Ends the link after what was sent has been written, or after the close timeout. Called under the gate.
    public void Close()
    {
        if (closing)
            return;

        closing = true;
        EndWriting();

        if (connection is null)
        {
            // Nothing was sent, and a transport that is still opening need not listen to the token.
            flushed.TrySetResult();
            Stop();
        }
        else
        {
            _ = StopLaterAsync();
        }
    }

    // Ends the link at once. Called under the gate.
    public void Abort()
    {
        closing = true;
        EndWriting();
        flushed.TrySetResult();
        Stop();
    }

    // Code of the application that listens to the token runs elsewhere, and may fail.
    private void Stop() => stop.CancelAsync().Forget();

    private async Task StopLaterAsync()
    {
        await Task.Delay(engine.CloseTimeout, engine.Time, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Stop();
    }

    private async Task RunAsync()
    {
        try
        {
            if (await OpenAsync().ConfigureAwait(false) is { } open)
                await TransferAsync(open).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            // Closing failed; there is nothing left to close.
            engine.LinkEnded(this, failure);
        }
        finally
        {
            flushed.TrySetResult();
        }
    }

    private async Task<IMqttConnection?> OpenAsync()
    {
        IMqttConnection? opened = null;

        try
        {
            if (server is null)
                throw new UriFormatException("the Server Reference names no server that may be followed: the same kind of transport, with TLS where this one has it");

            opened = await engine.Transport.ConnectAsync(server, stop.Token).ConfigureAwait(false)
                ?? throw new InvalidOperationException("the transport gave no connection");
            // It need not have listened to the token.
            stop.Token.ThrowIfCancellationRequested();
            var credentials = await engine.Authentication.GetCredentialsAsync(this).ConfigureAwait(false);

            lock (engine.Gate)
            {
                if (!closing)
                    connection = opened;

                var now = engine.Now();
                Volatile.Write(ref lastSent, now);
                Volatile.Write(ref lastReceived, now);
                Volatile.Write(ref lastPing, now);
            }

            if (connection is not null)
            {
                engine.Post(this, ClientEvent.NewTransportOpened(credentials));
                return connection;
            }
        }
        catch (Exception failure)
        {
            engine.LinkEnded(this, failure);
        }

        if (opened is not null)
            await opened.DisposeAsync().ConfigureAwait(false);

        return null;
    }

    private async Task TransferAsync(IMqttConnection open)
    {
        // Not every stream can be cancelled; closing it ends what is under way on any.
        using var cut = stop.Token.UnsafeRegister(static state => ((Link)state!).Cut(), this);
        var reading = ReadAsync(open);
        await drained.Task.ConfigureAwait(false);

        try
        {
            // All was written. The peer may close now that it has read what was sent.
            await open.CompleteAsync(stop.Token).AsTask().OrCancelledAsync(stop.Token).ConfigureAwait(false);
            flushed.TrySetResult();
            await reading.WaitAsync(DrainTime, engine.Time, stop.Token).ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            engine.LinkEnded(this, failure);
        }

        await stop.CancelAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await reading.ConfigureAwait(false);
        await open.DisposeAsync().ConfigureAwait(false);
    }

    private void Cut()
    {
        // Whatever the transport does now, nothing more is written.
        flushed.TrySetResult();
        CutAsync(connection!).Forget();
    }

    private static async Task CutAsync(IMqttConnection open) => await open.DisposeAsync().ConfigureAwait(false);
}
