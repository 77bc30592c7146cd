namespace Mqtt5.Cli;

/// <summary>
/// Reads hexadecimal text piece by piece. Bytes are two digits; white space, commas and colons may stand between
/// them, and <c>0x</c> before them.
/// </summary>
/// <param name="position">Says where a character is, from its line, its column and its number, all from 1.</param>
internal sealed class HexReader(Func<int, int, long, string> position)
{
    private int line = 1;
    private int column;
    private long number;

    // Digits since the last separator or 0x, and the value of the first digit of an unfinished byte.
    private int digits;
    private int high = -1;
    private bool afterPrefix;

    /// <summary>
    /// Reads a piece of the text and returns how many bytes it wrote; the destination is at least half as long as
    /// the text. Throws <see cref="UsageException"/> with the position of a character that cannot stand there.
    /// </summary>
    public int Read(ReadOnlySpan<byte> text, Span<byte> destination)
    {
        var written = 0;

        foreach (var character in text)
        {
            column++;
            number++;

            if (char.IsAsciiHexDigit((char)character))
            {
                var value = char.IsAsciiDigit((char)character) ? character - '0' : (character | 0x20) - 'a' + 10;
                digits++;
                afterPrefix = false;

                if (high < 0)
                {
                    high = value;
                }
                else
                {
                    destination[written++] = (byte)(high << 4 | value);
                    high = -1;
                }
            }
            else if (IsSeparator(character))
            {
                EndToken();
                digits = 0;

                if (character == '\n')
                {
                    line++;
                    column = 0;
                }
            }
            else if (character is (byte)'x' or (byte)'X' && digits == 1 && high == 0)
            {
                digits = 0;
                high = -1;
                afterPrefix = true;
            }
            else
            {
                throw new UsageException($"{Here()}: {Describe(character)} is not a hexadecimal digit");
            }
        }

        return written;
    }

    /// <summary>Ends the text; throws <see cref="UsageException"/> where a digit is missing.</summary>
    public void End()
    {
        column++;
        number++;
        EndToken();
    }

    private static bool IsSeparator(byte character) => character is (byte)' ' or (>= 9 and <= 13) or (byte)',' or (byte)':';

    private static string Describe(byte character) =>
        character is > 0x20 and < 0x7F ? $"'{(char)character}'" : $"the byte 0x{character:X2}";

    private void EndToken()
    {
        if (high >= 0)
        {
            throw new UsageException($"{Here()}: the second digit of a byte is missing");
        }

        if (afterPrefix)
        {
            throw new UsageException($"{Here()}: no digits follow 0x");
        }
    }

    private string Here() => position(line, column, number);
}
