using Microsoft.Win32.SafeHandles;

namespace Mqtt5.Cli;

/// <summary>Standard output that tells when nobody reads it any more, and names itself when it fails.</summary>
internal sealed class StandardOutput(Stream inner) : WritingStream
{
    private const int BrokenPipe = 32;

    /// <summary>
    /// Opens standard output. The console's own stream ignores a closed pipe, and the command would then go on to
    /// the end of its input for nobody; a file's position, on the other hand, is shared with standard error, which
    /// only the console's stream respects. Where it is closed altogether, what is written is lost, as with other commands.
    /// </summary>
    public static Stream Open()
    {
        if (!StandardDescriptors.IsOpen(StandardDescriptors.Output))
            return Stream.Null;

        return new StandardOutput(OpenInner());
    }

    /// <summary>True when the reader of the output has gone, as <c>head</c> does when it has seen enough.</summary>
    public static bool IsClosed(IOException exception) =>
        !OperatingSystem.IsWindows() && (exception.InnerException ?? exception).HResult == BrokenPipe;

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            inner.Write(buffer);
        }
        catch (IOException exception)
        {
            throw new IOException($"standard output: {exception.Message}", exception);
        }
    }

    private static Stream OpenInner()
    {
        if (OperatingSystem.IsWindows() || !Console.IsOutputRedirected)
            return Console.OpenStandardOutput();

        try
        {
            var stream = new FileStream(new SafeFileHandle(StandardDescriptors.Output, ownsHandle: false), FileAccess.Write, bufferSize: 0);
            return stream.CanSeek ? Console.OpenStandardOutput() : stream;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return Stream.Null;
        }
    }
}
