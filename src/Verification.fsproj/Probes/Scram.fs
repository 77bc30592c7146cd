namespace Mqtt5.Verification

open System
open System.Globalization
open System.Security.Cryptography
open System.Text
open Mqtt5

/// Who signs in with SCRAM-SHA-256.
[<NoComparison>]
type internal ScramIdentity =
    {
        UserName: string
        Password: Bytes
        /// The client's nonce: printable characters without a comma.
        Nonce: string
    }

/// The client's messages of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding. A server is judged by them, so
/// they share no code with the one of this project.
[<RequireQualifiedAccess>]
module internal Scram =

    /// The Authentication Method.
    [<Literal>]
    let Method = "SCRAM-SHA-256"

    // What a server may ask of the processor.
    [<Literal>]
    let private MostIterations = 10_000_000

    let private utf8 (text: string) = Encoding.UTF8.GetBytes text

    let private withoutHeader (identity: ScramIdentity) =
        let name = identity.UserName.Replace("=", "=3D").Replace(",", "=2C")
        $"n={name},r={identity.Nonce}"

    /// The first message.
    let opening (identity: ScramIdentity) : string = "n,," + withoutHeader identity

    let private fromBase64 (text: string) =
        let bytes = Array.zeroCreate<byte> text.Length
        let mutable length = 0

        if Convert.TryFromBase64String(text, Span bytes, &length) then
            Some(Array.truncate length bytes)
        else
            None

    let private (|Part|_|) (name: string) (text: string) =
        if text.StartsWith(name + "=") then Some(text.Substring 2) else None

    let private (|Salt|_|) (text: string) = fromBase64 text

    let private (|Iterations|_|) (text: string) =
        match Int32.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture) with
        | true, count when count > 0 && count <= MostIterations -> Some count
        | _ -> None

    /// The answer to a challenge, or what is wrong with the challenge. <c>isForged</c>: with a proof that is wrong.
    let answer (isForged: bool) (identity: ScramIdentity) (challenge: string) : Result<string, string> =
        match List.ofArray (challenge.Split ',') with
        | Part "r" nonce :: Part "s" (Salt salt) :: Part "i" (Iterations iterations) :: _ when
            nonce.StartsWith identity.Nonce
            ->
            let salted =
                Rfc2898DeriveBytes.Pbkdf2(
                    identity.Password.Memory.Span,
                    ReadOnlySpan salt,
                    iterations,
                    HashAlgorithmName.SHA256,
                    SHA256.HashSizeInBytes
                )

            let key = HMACSHA256.HashData(salted, utf8 "Client Key")
            let bare = $"c=biws,r={nonce}"
            let signed = utf8 $"{withoutHeader identity},{challenge},{bare}"
            let proof = Array.map2 (^^^) key (HMACSHA256.HashData(SHA256.HashData key, signed))

            if isForged then
                proof[0] <- proof[0] ^^^ 1uy

            Ok $"{bare},p={Convert.ToBase64String proof}"
        | _ -> Error "a nonce that continues that of the client, a salt and a number of iterations"
