using System.IO.Pipelines;
using System.Threading.Channels;

namespace Mqtt5.Testing;

/// <summary>
/// A transport without a network: each connection is a pair of pipes, and the test holds the other end of it.
/// </summary>
public sealed class InMemoryTransport : IMqttTransport
{
    private readonly Channel<InMemoryConnection> accepted = Channel.CreateUnbounded<InMemoryConnection>();
    private int attempts;

    /// <summary>How many connections were asked for so far, the refused ones among them.</summary>
    public int Attempts => Volatile.Read(ref attempts);

    /// <summary>
    /// Called for each connection that is asked for, with its number from 1; it may throw to refuse it or wait to
    /// delay it. Null: all are taken.
    /// </summary>
    public Func<int, CancellationToken, ValueTask>? Connecting { get; set; }

    /// <inheritdoc/>
    public async ValueTask<IMqttConnection> ConnectAsync(Uri server, CancellationToken cancellationToken)
    {
        var number = Interlocked.Increment(ref attempts);

        if (Connecting is { } connecting)
            await connecting(number, cancellationToken).ConfigureAwait(false);

        var (client, peer) = CreatePair();
        accepted.Writer.TryWrite(peer);
        return client;
    }

    /// <summary>Waits for the next connection of a client.</summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The server's end of the connection.</returns>
    public ValueTask<InMemoryConnection> AcceptAsync(CancellationToken cancellationToken = default) =>
        accepted.Reader.ReadAsync(cancellationToken);

    /// <summary>Makes the two ends of one connection.</summary>
    /// <returns>What is written to one end is read from the other.</returns>
    public static (InMemoryConnection Client, InMemoryConnection Peer) CreatePair()
    {
        var options = new PipeOptions(useSynchronizationContext: false);
        var toPeer = new Pipe(options);
        var toClient = new Pipe(options);
        return (new InMemoryConnection(toClient.Reader, toPeer.Writer), new InMemoryConnection(toPeer.Reader, toClient.Writer));
    }
}
