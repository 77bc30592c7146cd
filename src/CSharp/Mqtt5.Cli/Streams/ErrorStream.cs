namespace Mqtt5.Cli;

/// <summary>
/// Standard error, whose own failures cannot be reported: on a full disk or a closed pipe the output is lost, and the command
/// continues.
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
            // The failure cannot be reported anywhere.
        }
    }
}
