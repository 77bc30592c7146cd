using Microsoft.Win32.SafeHandles;

namespace Mqtt5.Cli;

/// <summary>Standard output that detects a closed pipe, and is named in the error when a write fails.</summary>
internal sealed class StandardOutput(Stream inner) : WritingStream
{
    private const int BrokenPipe = 32;

    /// <summary>
    /// Opens standard output. The console's own stream ignores a closed pipe, so the command would process the rest of its
    /// input in vain; a <see cref="FileStream"/>, on the other hand, keeps its own position in a file that standard error may
    /// share. If the descriptor is closed, output is lost, as with other commands.
    /// </summary>
    public static Stream Open()
    {
        if (!StandardDescriptors.IsOpen(StandardDescriptors.Output))
            return Stream.Null;

        return new StandardOutput(OpenInner());
    }

    /// <summary>True when the reader has closed the pipe, as <c>head</c> does when it has seen enough.</summary>
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
