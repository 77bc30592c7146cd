using System.Net.Sockets;
using System.Threading.Channels;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>A connection that a client program opened. What comes on it goes to the run of a scenario.</summary>
internal sealed class ServedConnection : IAsyncDisposable
{
    private const int BufferBytes = 16 * 1024;

    private readonly TcpClient client;
    private readonly int number;
    private readonly ChannelWriter<ClientInput> inputs;
    private readonly Task reading;

    public ServedConnection(TcpClient client, int number, ChannelWriter<ClientInput> inputs)
    {
        this.client = client;
        this.number = number;
        this.inputs = inputs;
        inputs.TryWrite(ClientInput.NewConnected(number));
        reading = ReadAsync();
    }

    /// <summary>Completes when all that came was given to the run, and the connection has ended.</summary>
    public Task Ended => reading;

    /// <summary>Sends bytes; those that a client does not take any more are lost.</summary>
    public async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            await client.GetStream().WriteAsync(bytes, cancellationToken);
        }
        catch (Exception exception) when (IsLoss(exception))
        {
            // The reading side tells that the connection has ended.
        }
    }

    /// <summary>Closes the connection without a word.</summary>
    public void Close() => client.Close();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Close();
        await reading;
    }

    private async Task ReadAsync()
    {
        var buffer = new byte[BufferBytes];

        try
        {
            var stream = client.GetStream();

            while (await stream.ReadAsync(buffer) is var count and > 0)
                inputs.TryWrite(ClientInput.NewReceived(number, new Bytes(buffer.AsSpan(0, count).ToArray())));
        }
        catch (Exception exception) when (IsLoss(exception))
        {
            // It was cut.
        }

        inputs.TryWrite(ClientInput.NewClosed(number));
    }

    private static bool IsLoss(Exception exception) =>
        exception is IOException or SocketException or ObjectDisposedException or InvalidOperationException;
}
