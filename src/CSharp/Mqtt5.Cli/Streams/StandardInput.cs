namespace Mqtt5.Cli;

/// <summary>
/// Standard input that stops waiting when it is told to. The console's own stream waits for a line whatever its token says,
/// and Ctrl+C would then do nothing before the next Enter.
/// </summary>
internal sealed class StandardInput : ReadingStream
{
    private readonly Stream console = StandardDescriptors.IsOpen(StandardDescriptors.Input)
        ? Console.OpenStandardInput()
        : throw new IOException("standard input is closed");

    // A buffer of its own: an abandoned read may still complete into it.
    private byte[] buffer = [];

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        try
        {
            return console.Read(buffer);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"standard input: {exception.Message}", exception);
        }
    }

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (this.buffer.Length < buffer.Length)
            this.buffer = new byte[buffer.Length];

        var (own, count) = (this.buffer, buffer.Length);
        var read = await Task.Run(() => Read(own.AsSpan(0, count)), CancellationToken.None).WaitAsync(cancellationToken).ConfigureAwait(false);
        own.AsMemory(0, read).CopyTo(buffer);
        return read;
    }
}
