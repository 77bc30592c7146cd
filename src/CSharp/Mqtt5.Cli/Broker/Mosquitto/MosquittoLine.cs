using System.Text;

namespace Mqtt5.Cli;

/// <summary>A line of a mosquitto configuration that sets an option.</summary>
/// <param name="File">The file.</param>
/// <param name="Number">The line, counted from 1.</param>
/// <param name="Name">The name of the option.</param>
/// <param name="Value">The rest of the line; empty: there is none.</param>
internal sealed record MosquittoLine(string File, int Number, string Name, string Value)
{
    private const int MostFolders = 10;
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Where it is, for messages.</summary>
    public string Place => $"{File}:{Number}: {Name}";

    /// <summary>Reads a file and, in order of their names, the files of the folders that it includes.</summary>
    /// <exception cref="UsageException">A file cannot be read.</exception>
    public static IReadOnlyList<MosquittoLine> Read(string file)
    {
        var lines = new List<MosquittoLine>();
        Read(file, lines, depth: 0);
        return lines;
    }

    /// <summary>The lines of a text: a name, blanks, a value. A line that begins with # is a comment.</summary>
    public static IEnumerable<MosquittoLine> Parse(string file, string text)
    {
        var number = 0;

        foreach (var line in text.Split('\n'))
        {
            number++;
            var content = line.Trim();

            if (content.Length == 0 || line[0] == '#')
                continue;

            var end = content.IndexOfAny([' ', '\t']);
            yield return end < 0
                ? new MosquittoLine(file, number, content, "")
                : new MosquittoLine(file, number, content[..end], content[end..].Trim());
        }
    }

    /// <summary>A file that the line names. Mosquitto takes it as relative to the working directory.</summary>
    public string FileName => Value.Length > 0 ? Value : throw Fault("the name of a file is missing");

    /// <summary>A switch.</summary>
    public bool IsTrue => Value switch
    {
        "true" or "1" => true,
        "false" or "0" => false,
        _ => throw Fault($"'{Value}' is neither true nor false"),
    };

    /// <summary>A whole number within a range.</summary>
    public long Number64(long least, long most) =>
        long.TryParse(Value, System.Globalization.NumberStyles.AllowLeadingSign, System.Globalization.CultureInfo.InvariantCulture, out var value)
        && value >= least && value <= most
            ? value
            : throw Fault($"'{Value}' is no whole number from {least} to {most}");

    /// <summary>The line cannot be used.</summary>
    public UsageException Fault(string reason) => new($"{Place}: {reason}");

    private static void Read(string file, List<MosquittoLine> lines, int depth)
    {
        foreach (var line in Parse(file, TextOf(file)))
        {
            if (line.Name != "include_dir")
            {
                lines.Add(line);
                continue;
            }

            if (depth == MostFolders)
                throw line.Fault("folders include each other");

            foreach (var included in FilesOf(line))
                Read(included, lines, depth + 1);
        }
    }

    private static string TextOf(string file)
    {
        try
        {
            return Utf8.GetString(System.IO.File.ReadAllBytes(file));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new UsageException($"--mosquitto-config: {file}: {failure.Message}");
        }
    }

    private static string[] FilesOf(MosquittoLine line)
    {
        try
        {
            var files = Directory.GetFiles(line.FileName, "*.conf");
            Array.Sort(files, StringComparer.Ordinal);
            return files;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw line.Fault(failure.Message);
        }
    }
}
