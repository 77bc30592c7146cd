using System.Buffers;
using System.Text;

namespace Mqtt5.Cli;

/// <summary>
/// Prints messages to bytes as mosquitto_sub does. What is printed is written when it is flushed, and only then are the
/// messages acknowledged.
/// </summary>
internal sealed class MessagePrinter(OutputRequest request, Stream output, TextWriter error, bool isQuiet)
{
    // Enough for one write to be worth it.
    private const int LargestBatch = 64;
    private const int LargestBuffer = 64 * 1024;

    private readonly ArrayBufferWriter<byte> buffer = new();
    private readonly List<MqttReceivedMessage> printed = [];

    /// <summary>Prints a message.</summary>
    public void Print(MqttReceivedMessage message)
    {
        if (request.Format is { } format)
            PrintFormatted(format, message);
        else
            PrintPlain(message);
    }

    /// <summary>Acknowledges a message with the next flush, which is now if much has gathered.</summary>
    public void Acknowledge(MqttReceivedMessage message)
    {
        printed.Add(message);

        if (printed.Count >= LargestBatch || buffer.WrittenCount >= LargestBuffer)
            Flush();
    }

    /// <summary>Writes what was printed, and acknowledges it.</summary>
    /// <exception cref="IOException">The reader of the output has closed it.</exception>
    public void Flush()
    {
        if (buffer.WrittenCount > 0)
        {
            try
            {
                output.Write(buffer.WrittenSpan);
                output.Flush();
            }
            finally
            {
                buffer.ResetWrittenCount();
            }
        }

        foreach (var message in printed)
            message.Acknowledge();

        printed.Clear();
    }

    // An empty payload has no line of its own.
    private void PrintPlain(MqttReceivedMessage message)
    {
        var isEmpty = message.Payload.IsEmpty;

        if (isEmpty && !(request.IsVerbose && request.EndsLines))
            return;

        if (request.IsVerbose)
        {
            Encoding.UTF8.GetBytes(message.Topic, buffer);
            buffer.Write(isEmpty ? " (null)"u8 : " "u8);
        }

        buffer.Write(message.Payload.Span);
        EndLine();
    }

    private void PrintFormatted(MessageFormat format, MqttReceivedMessage message)
    {
        if (format.Write(new PrintedMessage(message, request.ShowsSubscriptionIdentifier), request.IsPretty, buffer) is { } complaint && !isQuiet)
            error.WriteLine($"mqtt5: {complaint}");

        EndLine();
    }

    private void EndLine()
    {
        if (request.EndsLines)
            buffer.Write("\n"u8);
    }
}
