# Noise XX and XXpsk0 over ristretto255, written apart from the Go code. It makes comms/noise-psk-kat.json:
# python3 noise_psk.py comms/noise-kat.json comms/noise-psk-kat.json
import hashlib, hmac, json, struct, sys
P=2**255-19; D=-121665*pow(121666,P-2,P)%P; SQ=pow(2,(P-1)//4,P); L=2**252+27742317777372353535851937790883648493
def inv(x): return pow(x,P-2,P)
def isneg(x): return x%P & 1
def sqrt_ratio(u,v):
    v3=v*v*v%P; v7=v3*v3*v%P
    r=u*v3*pow(u*v7,(P-5)//8,P)%P
    c=v*r*r%P
    correct=c==u%P; flip=c==-u%P; flipi=c==-u*SQ%P
    if flip or flipi: r=r*SQ%P
    if isneg(r): r=P-r
    return correct or flip, r
IAMD=sqrt_ratio(1,(-1-D)%P)[1]
def decode(b):
    s=int.from_bytes(b,'little')
    assert s<P and not s&1
    ss=s*s%P; u1=(1-ss)%P; u2=(1+ss)%P; u2s=u2*u2%P
    v=(-(D*u1*u1)-u2s)%P
    ok,i=sqrt_ratio(1,v*u2s%P)
    dx=i*u2%P; dy=i*dx*v%P
    x=2*s*dx%P
    if isneg(x): x=P-x
    y=u1*dy%P; t=x*y%P
    assert ok and not isneg(t) and y
    return (x,y,1,t)
def encode(p):
    x0,y0,z0,t0=p
    u1=(z0+y0)*(z0-y0)%P; u2=x0*y0%P
    _,i=sqrt_ratio(1,u1*u2*u2%P)
    d1=i*u1%P; d2=i*u2%P; zi=d1*d2*t0%P
    ix,iy=x0*SQ%P,y0*SQ%P; ed=d1*IAMD%P
    if isneg(t0*zi%P): x,y,di=iy,ix,ed
    else: x,y,di=x0,y0,d2
    if isneg(x*zi%P): y=-y%P
    s=di*(z0-y)%P
    if isneg(s): s=P-s
    return s.to_bytes(32,'little')
def add(p,q):
    x1,y1,z1,t1=p;x2,y2,z2,t2=q
    a=(y1-x1)*(y2-x2)%P;b=(y1+x1)*(y2+x2)%P;c=t1*2*D*t2%P;d=z1*2*z2%P
    e,f,g,h=b-a,d-c,d+c,b+a
    return (e*f%P,g*h%P,f*g%P,e*h%P)
def mul(k,p):
    r=(0,1,1,0)
    while k:
        if k&1: r=add(r,p)
        p=add(p,p); k>>=1
    return r
By=4*inv(5)%P
def recx(y):
    ok,x=sqrt_ratio((y*y-1)%P,(D*y*y+1)%P); assert ok
    return x
Bx=recx(By); B=(Bx,By,1,Bx*By%P)
def pub(sk): return encode(mul(int.from_bytes(sk,'little'),B))
TAG=b'com.tari.comms.core.v0.noise.dh'
def dh(sk,pk):
    pt=encode(mul(int.from_bytes(sk,'little'),decode(pk)))
    return hashlib.blake2b(struct.pack('<Q',len(TAG))+TAG+struct.pack('<Q',32)+pt,digest_size=32).digest()
# chacha20poly1305
def rotl(x,n): return ((x<<n)|(x>>(32-n)))&0xffffffff
def block(key,ctr,nonce):
    st=list(struct.unpack('<4I',b'expand 32-byte k'))+list(struct.unpack('<8I',key))+[ctr]+list(struct.unpack('<3I',nonce))
    w=st[:]
    def qr(a,b,c,d):
        w[a]=(w[a]+w[b])&0xffffffff;w[d]=rotl(w[d]^w[a],16)
        w[c]=(w[c]+w[d])&0xffffffff;w[b]=rotl(w[b]^w[c],12)
        w[a]=(w[a]+w[b])&0xffffffff;w[d]=rotl(w[d]^w[a],8)
        w[c]=(w[c]+w[d])&0xffffffff;w[b]=rotl(w[b]^w[c],7)
    for _ in range(10):
        qr(0,4,8,12);qr(1,5,9,13);qr(2,6,10,14);qr(3,7,11,15);qr(0,5,10,15);qr(1,6,11,12);qr(2,7,8,13);qr(3,4,9,14)
    return struct.pack('<16I',*[(a+b)&0xffffffff for a,b in zip(w,st)])
def chacha(key,nonce,data,ctr=1):
    out=b''
    for i in range(0,len(data),64):
        ks=block(key,ctr+i//64,nonce); out+=bytes(a^b for a,b in zip(data[i:i+64],ks))
    return out
def poly(key,msg):
    r=int.from_bytes(key[:16],'little')&0x0ffffffc0ffffffc0ffffffc0fffffff; s=int.from_bytes(key[16:],'little'); a=0
    for i in range(0,len(msg),16):
        c=msg[i:i+16]; a=(a+int.from_bytes(c+b'\1','little'))*r%(2**130-5)
    return ((a+s)%2**128).to_bytes(16,'little')
def pad(b): return b+b'\0'*(-len(b)%16)
def seal(key,n,ad,pt):
    nonce=b'\0'*4+struct.pack('<Q',n); ct=chacha(key,nonce,pt)
    return ct+poly(block(key,0,nonce)[:32],pad(ad)+pad(ct)+struct.pack('<QQ',len(ad),len(ct)))
H=lambda b: hashlib.blake2b(b).digest()
def hm(k,m): return hmac.new(k,m,hashlib.blake2b).digest()
def hkdf(ck,ikm,n):
    t=hm(ck,ikm); o1=hm(t,b'\1'); o2=hm(t,o1+b'\2'); o3=hm(t,o2+b'\3'); return (o1,o2,o3)[:n]
class Sym:
    def __init__(s,name): s.h=name+b'\0'*(64-len(name)) if len(name)<=64 else H(name); s.ck=s.h; s.k=None
    def mixhash(s,d): s.h=H(s.h+d)
    def mixkey(s,d): s.ck,k=hkdf(s.ck,d,2); s.k=k[:32]; s.n=0
    def mixboth(s,d): s.ck,t,k=hkdf(s.ck,d,3); s.mixhash(t); s.k=k[:32]; s.n=0
    def enc(s,pt):
        if s.k is None: c=pt
        else: c=seal(s.k,s.n,s.h,pt); s.n+=1
        s.mixhash(c); return c
def run(v,psk):
    si,sr,ei,er=[bytes.fromhex(v[k]) for k in('initiator_static','responder_static','initiator_ephemeral','responder_ephemeral')]
    y=Sym(v['protocol'].encode()); y.mixhash(v['prologue'].encode()); frames=[]
    def fr(b): return (struct.pack('>H',len(b))+b).hex()
    m=b''
    if psk: y.mixboth(psk)
    def E(sk):
        p=pub(sk); y.mixhash(p)
        if psk: y.mixkey(p)
        return p
    m=E(ei); m+=y.enc(b''); frames.append(fr(m))
    m=E(er); y.mixkey(dh(er,pub(ei))); m+=y.enc(pub(sr)); y.mixkey(dh(sr,pub(ei))); m+=y.enc(b''); frames.append(fr(m))
    m=y.enc(pub(si)); y.mixkey(dh(si,pub(er))); m+=y.enc(b''); frames.append(fr(m))
    k1,k2=[k[:32] for k in hkdf(y.ck,b'',2)]
    tr=[fr(seal(k1,0,b'',b'hello')),fr(seal(k1,1,b'',b'world')),fr(seal(k2,0,b'',b'hi'))]
    return frames,tr,y.h.hex()
old=json.load(open(sys.argv[1])); f,t,h=run(old['inputs'],None)
assert f==old['bytes']['handshake_frames'] and t==old['bytes']['transport_frames'] and h==old['expect']['handshake_hash'], 'XX'
print('XX agrees',file=sys.stderr)
v=dict(old['inputs']); v['protocol']='Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b'
psk=bytes.fromhex('f1a2c3d4e5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7d8e9fa0')
v['psk']=psk.hex(); f,t,h=run(v,psk)
json.dump({'what':'Noise XXpsk0 of a private network, with all four keys and the secret fixed, empty payloads, then three transport frames (each with its 2-byte length)',
 'source':'a second implementation in Python, with a ristretto255, ChaCha20-Poly1305 and Noise of its own, which gives the bytes of noise-kat.json as well',
 'inputs':v,'bytes':{'handshake_frames':f,'transport_frames':t},'expect':{'handshake_hash':h}},open(sys.argv[2],'w'),indent=1)
open(sys.argv[2],'a').write('\n')
