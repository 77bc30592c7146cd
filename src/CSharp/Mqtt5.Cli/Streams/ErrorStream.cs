namespace Mqtt5.Cli;

/// <summary>
/// Standard error, which has nowhere to tell that it failed: a full disk or a reader that has gone loses what was to be
/// said, and does not end the command.
/// </summary>
internal sealed class ErrorStream(Stream inner) : WritingStream
{
    /// <summary>Opens standard error as text.</summary>
    public static TextWriter Open() =>
        StandardDescriptors.IsOpen(StandardDescriptors.Error)
            ? TextWriter.Synchronized(new StreamWriter(new ErrorStream(Console.OpenStandardError()), bufferSize: 1024) { AutoFlush = true })
            : TextWriter.Null;

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            inner.Write(buffer);
        }
        catch (IOException)
        {
            // There is no other place for it.
        }
    }
}
