namespace Fanfare.Gateway.Lambda;

/// <summary>Signs outgoing requests with Signature Version 4. Safe for concurrent use.</summary>
internal interface IRequestSigner
{
    /// <summary>Adds the headers of a signature.</summary>
    /// <param name="request">The request, complete but for the signature: method, address, headers.</param>
    /// <param name="body">The bytes that the request carries.</param>
    /// <param name="scope">Whose signature, and for what.</param>
    void Sign(HttpRequestMessage request, ReadOnlyMemory<byte> body, SigningScope scope);
}

/// <summary>Whose signature a request carries, and for what.</summary>
/// <param name="AccessKeyId">The access key.</param>
/// <param name="SecretAccessKey">Its secret.</param>
/// <param name="SessionToken">The session token of temporary credentials, or <see langword="null"/>.</param>
/// <param name="Region">The region in the credential's scope.</param>
/// <param name="Service">The service in the credential's scope, such as <c>lambda</c>.</param>
internal sealed record SigningScope(string AccessKeyId, string SecretAccessKey, string? SessionToken, string Region, string Service)
{
    /// <summary>Describes the scope without its secrets.</summary>
    public override string ToString() => $"SigningScope {{ AccessKeyId = {AccessKeyId}, Region = {Region}, Service = {Service} }}";
}
