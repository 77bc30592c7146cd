using System.Globalization;
using System.Text;
using Mqtt5.Verification;

namespace Mqtt5.Cli;

/// <summary>Reads trace files and captures.</summary>
internal static class TraceFile
{
    private static readonly byte[] CaptureStart = [0x0A, 0x0D, 0x0D, 0x0A];

    /// <summary>Reads all segments of a capture; null: the file is none.</summary>
    /// <exception cref="UsageException">It cannot be used.</exception>
    public static IReadOnlyList<CapturedSegment>? Capture(string path, int serverPort)
    {
        using (var start = File.OpenRead(path))
        {
            var first = new byte[CaptureStart.Length];

            if (start.ReadAtLeast(first, first.Length, throwOnEndOfStream: false) < first.Length || !first.AsSpan().SequenceEqual(CaptureStart))
                return null;
        }

        try
        {
            return PcapngReader.Read(serverPort, File.ReadAllBytes(path));
        }
        catch (InvalidDataException exception)
        {
            throw new UsageException($"{path}: {exception.Message}");
        }
    }

    /// <summary>Reads the records of a trace file one after another.</summary>
    /// <exception cref="UsageException">A line is no line of a trace.</exception>
    public static IEnumerable<TraceRecord> Records(string path)
    {
        var number = 0;
        // A byte that is no text becomes a character that no line can hold.
        foreach (var line in File.ReadLines(path, Encoding.UTF8))
        {
            number++;

            if (number == 1 && line != TraceText.Heading)
                throw new UsageException($"{path}: this is neither a trace file nor a capture in pcapng");

            var record = TraceText.Parse(number, line);

            if (record.IsError)
                throw new UsageException(string.Create(CultureInfo.InvariantCulture, $"{path}: {record.ErrorValue}"));

            if (record.ResultValue.IsSome)
                yield return record.ResultValue.Value;
        }

        if (number == 0)
            throw new UsageException($"{path}: the file is empty");
    }
}
